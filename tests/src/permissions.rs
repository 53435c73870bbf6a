//! Permissions, checked once the tool is known: scopes, scope hierarchies, and roles.

use crate::modern::request;
use crate::tokens::{HEADER, NOW, RULES, key, token};
use attache_core::auth::{Access, ApiKey, Authenticated, Bearer, Need, Shown, Verified, digest};
use attache_core::exchange::{Carrier, answer};
use attache_core::http::{HeadFacts, Refusal};
use attache_core::json::Slice;
use attache_core::mcp::Server;
use attache_core::tool::{Catalogue, Kind, Nothing, Operation, Output, Tables, ToolResult};
use serde_json::{Value, json};

attache_core::tools! { pub(crate) mod plant for Plant {
    /// For every caller
    fn look(Nothing);
    /// For callers with the read scope
    #[read_only] #[scope("plant.read")] fn measure(Nothing);
    /// For callers with both scopes
    #[scope("plant.read")] #[scope("plant.write")] fn switch(Nothing);
    /// For the staff
    #[role("operator")] fn stop(Nothing);
    /// For the staff, through an application with the write scope
    #[role("operator")] #[scope("plant.write")] fn start(Nothing);
} }

pub(crate) struct Plant;

impl Plant {
    fn look(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("done")
    }
    fn measure(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("done")
    }
    fn switch(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("done")
    }
    fn stop(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("done")
    }
    fn start(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("done")
    }
}

// `all` includes `admin`, which includes both; and a cycle, which includes nothing else.
const IMPLIED: &[(&str, &str)] = &[
    ("plant.admin", "plant.read"),
    ("plant.admin", "plant.write"),
    ("all", "plant.admin"),
    ("circle.a", "circle.b"),
    ("circle.b", "circle.a"),
];
static OFFERS: Tables<'static> = Tables::of_tools(plant::TOOLS).with_implied(IMPLIED);
static SERVER: Server<'static> = Server::new("plant", "1", &OFFERS);

/// Calls `tool` as `who`, and returns the status and the reason of a denial.
fn called(who: &Authenticated<'_>, tool: &str) -> (u16, Option<(Refusal, Operation)>) {
    let body = format!(
        concat!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","_meta":{{"#,
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        ),
        tool = tool
    );
    let mut facts = HeadFacts::new(b"POST");
    for (name, value) in [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)] {
        facts.note(name.as_bytes(), value.as_bytes());
    }
    let mut buffer = [0; 512];
    let mut out = Slice::new(&mut buffer);
    let run = |call: attache_core::tool::Call<'_>, out: &mut Output<'_>| plant::dispatch(&Plant, call, out);
    let reply = answer(&SERVER, who, Carrier::Http(&facts), body.as_bytes(), &mut out, run).unwrap();
    (reply.status(), reply.denied())
}

fn holder(extra: &str) -> Verified<Vec<u8>> {
    let claims = format!(
        r#"{{"iss":"https://id.example","sub":"ada","aud":"https://api.example/mcp","exp":{},"azp":"app"{extra}}}"#,
        NOW + 600
    );
    let header = format!("Bearer {}", token(HEADER, &claims));
    let mut scratch = [0; 1024];
    let claimed = Bearer::parse(header.as_bytes()).unwrap().unwrap().read(None, &mut scratch).unwrap();
    claimed.check(&RULES, Some(NOW)).unwrap().verify(&key()).unwrap().keep().unwrap_or_else(|never| match never {})
}

#[test]
fn tool_is_run_for_callers_whose_token_has_what_it_needs() {
    const TOOLS: [&str; 5] = ["look", "measure", "switch", "stop", "start"];
    const SCOPE: Option<Refusal> = Some(Refusal::Scope);
    const ROLE: Option<Refusal> = Some(Refusal::Forbidden);
    let rows: &[(&str, [Option<Refusal>; 5])] = &[
        ("", [None, SCOPE, SCOPE, ROLE, ROLE]),
        (r#","scp":"plant.read""#, [None, None, SCOPE, ROLE, ROLE]),
        (r#","scp":"plant.write""#, [None, SCOPE, SCOPE, ROLE, ROLE]),
        (r#","scp":"plant.write plant.read""#, [None, None, None, ROLE, ROLE]),
        (r#","scope":["plant.write","plant.read"]"#, [None, None, None, ROLE, ROLE]),
        (r#","scp":"plant.readx xplant.read plant.rea""#, [None, SCOPE, SCOPE, ROLE, ROLE]),
        (r#","scp":"plant.\u0072ead""#, [None, None, SCOPE, ROLE, ROLE]),
        (r#","scp":"plant.admin""#, [None, None, None, ROLE, ROLE]),
        (r#","scp":"all""#, [None, None, None, ROLE, ROLE]),
        (r#","scp":"circle.a circle.b""#, [None, SCOPE, SCOPE, ROLE, ROLE]),
        (r#","roles":["operator"]"#, [None, SCOPE, SCOPE, None, SCOPE]),
        (r#","roles":"operator","scp":"plant.write""#, [None, SCOPE, SCOPE, None, None]),
        (r#","roles":["operators","Operator"]"#, [None, SCOPE, SCOPE, ROLE, ROLE]),
        // An application that acts for itself needs only roles.
        (r#","idtyp":"app""#, [None, None, None, ROLE, ROLE]),
        (r#","idtyp":"app","roles":["operator"]"#, [None, None, None, None, None]),
    ];
    for (extra, expected) in rows {
        let verified = holder(extra);
        let who = Authenticated::token(&verified);
        for (index, (tool, expected)) in TOOLS.into_iter().zip(expected).enumerate() {
            let (status, denied) = called(&who, tool);
            assert_eq!(denied, expected.map(|denied| (denied, Operation::Tool(index))), "{tool} with {extra}");
            assert_eq!(status, if expected.is_some() { 403 } else { 200 }, "{tool} with {extra}");
        }
    }
}

#[test]
fn anonymous_callers_and_key_holders_may_use_every_tool() {
    let keys = [ApiKey::new("ci", digest(b"secret"))];
    for who in [Authenticated::anonymous(&Access::Anonymous), Shown::new(b"secret").check(&keys).unwrap()] {
        for tool in ["look", "measure", "switch", "stop", "start"] {
            assert_eq!(called(&who, tool), (200, None), "{tool}");
        }
    }
}

#[test]
fn guest_may_use_tools_without_a_scope_and_needs_a_token_for_the_others() {
    let guest = Authenticated::anonymous(&Access::Guest);
    assert_eq!(called(&guest, "look"), (200, None));
    for (index, tool) in [(1, "measure"), (2, "switch"), (3, "stop"), (4, "start")] {
        assert_eq!(called(&guest, tool), (401, Some((Refusal::NoToken, Operation::Tool(index)))), "{tool}");
    }
}

/// The names on the pages of `tools/list` that a server with lists for `who` shows it.
fn listed(who: &Authenticated<'_>, page: usize) -> Vec<Vec<String>> {
    let server = SERVER.with_page(page).with_lists_for(who);
    let mut pages = Vec::new();
    let mut cursor = json!(null);
    loop {
        let mut params = json!({});
        if cursor.is_string() {
            params["cursor"] = cursor;
        }
        let body = request(1, "tools/list", params).to_string();
        let mut out = [0; 0];
        let run = |_: attache_core::tool::Call<'_>, _: &mut Output<'_>| Ok(());
        let reply = answer(&server, who, Carrier::Line(None), body.as_bytes(), &mut Slice::new(&mut out), run).unwrap();
        let mut emission = reply.emit(&server, body.as_bytes(), b"");
        let mut bytes = vec![0; emission.len()];
        assert_eq!(emission.fill(&mut bytes), bytes.len());
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let result = &answer["result"];
        assert_eq!(result["cacheScope"], "private", "{answer}");
        let names = result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        pages.push(names.collect());
        cursor = result["nextCursor"].clone();
        if cursor.is_null() {
            return pages;
        }
    }
}

#[test]
fn lists_for_a_caller_show_what_it_may_use_on_pages_that_are_full() {
    let rows: &[(&str, usize, &[&[&str]])] = &[
        ("", 9, &[&["look"]]),
        ("", 1, &[&["look"]]),
        (r#","roles":["operator"],"scp":"plant.write""#, 9, &[&["look", "stop", "start"]]),
        (r#","roles":["operator"],"scp":"plant.write""#, 1, &[&["look"], &["stop"], &["start"]]),
        (r#","roles":["operator"],"scp":"plant.write""#, 2, &[&["look", "stop"], &["start"]]),
        (r#","scp":"plant.write plant.read""#, 3, &[&["look", "measure", "switch"]]),
    ];
    for (extra, page, expected) in rows {
        let verified = holder(extra);
        assert_eq!(listed(&Authenticated::token(&verified), *page), *expected, "{extra}, pages of {page}");
    }
    assert_eq!(listed(&Authenticated::anonymous(&Access::Guest), 9), [["look"]]);
}

#[test]
fn needs_of_a_tool_are_in_the_challenge_and_in_no_list() {
    let needs = |index| (0..).map_while(move |number| OFFERS.need(Kind::Tool, index, number));
    assert!(needs(0).eq([]));
    assert!(needs(2).eq([Need::Scope("plant.read"), Need::Scope("plant.write")]));
    assert!(needs(4).eq([Need::Role("operator"), Need::Scope("plant.write")]));
    for tool in plant::TOOLS {
        let listed: String = tool.members().iter().map(|member| member.json).collect();
        assert!(listed.contains(tool.key()), "{listed}");
        assert!(!listed.contains("plant.") && !listed.contains("\"operator\""), "{listed}");
    }
}
