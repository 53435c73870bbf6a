//! The memory that people who have signed in take. The measurement runs in a process of its own, so that no other test allocates
//! memory during it.

use super::*;

/// Returns the resident memory of the process in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn people_who_have_signed_in_take_little_memory() {
    let program = std::env::current_exe().expect("this program");
    let name = "sign_in::memory::ten_thousand_people_with_tokens_in_memory_take_at_most_40_mb";
    let run = std::process::Command::new(program).args(["--exact", "--ignored", name]).output().expect("it starts");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

// The tokens are in the memory of the process here; with a file, they take none.
#[tokio::test]
#[ignore = "runs alone, see above"]
async fn ten_thousand_people_with_tokens_in_memory_take_at_most_40_mb() {
    let double = Double::start().await;
    let mut program = browser(settings(&double).store(Arc::new(MemoryRows::default())));
    let types = [("content-type", "application/json")];
    let mut people = async |range: core::ops::Range<usize>| {
        for number in range {
            let mut claims = double.claims();
            claims["sub"] = json!(format!("person {number}"));
            let body = json!({"id_token": double.signed(&claims), "access_token": "x".repeat(500)}).to_string();
            let answer = program.send("POST", "/.auth/login/company", &types, &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = answer.json();
            let token = answer["authenticationToken"].as_str().expect("a token");
            assert_eq!(program.send("GET", "/app", &[("x-zumo-auth", token)], "").await.status, 200);
        }
    };
    people(0..20).await;
    let before = resident();
    people(20..10_000).await;
    let grown = resident().saturating_sub(before);
    println!("{grown} KiB more");
    assert!(grown < 40_000, "{grown} KiB more");
}
