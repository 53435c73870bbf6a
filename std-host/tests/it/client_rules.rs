//! Rules for clients that no other test covers. `docs/client.md` has the table of all rules.

use crate::client_liars::lines;
use crate::hostile::{AGREED, Asked, DISCOVERED, Peer, Reply, events, http, json_body, result};
use attache_host::client::{
    Client, ClientBuilder, ClientLimits, Error, Filter, Notice, RawJson, Request, Subscription, Verdicts,
};
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

const ENDED: &str = r#"{"content":[]}"#;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn builder() -> ClientBuilder {
    let second = Duration::from_secs(1);
    let limits = ClientLimits::default().request_time(5 * second).probe_time(second).handshake_time(second);
    Client::builder("test", "1").limits(limits)
}

/// A server of an older revision, which answers the probe with `status`, and the handshake unless
/// `is_down`.
fn older(asked: &Asked, status: u16, is_down: bool) -> Reply {
    match (asked.verb.as_str(), asked.method()) {
        ("get" | "delete", _) => http("405 Method Not Allowed", "", ""),
        (_, "server/discover") => http(&format!("{status} Status"), "", ""),
        (_, "initialize") if is_down => http("503 Service Unavailable", "", ""),
        (_, "initialize") => result(asked, AGREED),
        (_, "notifications/initialized") => http("202 Accepted", "", ""),
        _ => result(asked, ENDED),
    }
}

#[tokio::test]
async fn era_of_a_server_is_remembered_for_a_day_after_a_success_and_never_after_a_failure() {
    let verdicts = Verdicts::default();
    let (status, is_down) = (Arc::new(AtomicU16::new(503)), Arc::new(AtomicUsize::new(1)));
    let (now, down) = (Arc::clone(&status), Arc::clone(&is_down));
    let peer =
        Peer::start(move |asked| older(asked, now.load(Ordering::SeqCst), down.load(Ordering::SeqCst) == 1)).await;
    let first = async || {
        let before = peer.methods().len();
        let connected = builder().verdicts(verdicts.clone()).http(&peer.url).await;
        (connected.is_ok(), peer.methods().get(before).cloned().expect("a request"))
    };
    let (probes, does_not) = ("server/discover".to_owned(), "initialize".to_owned());
    // An outage is no verdict.
    assert_eq!(first().await, (false, probes.clone()));
    // A refusal of the credential is none, either.
    status.store(401, Ordering::SeqCst);
    assert_eq!(first().await, (false, probes.clone()));
    status.store(400, Ordering::SeqCst);
    is_down.store(0, Ordering::SeqCst);
    assert_eq!(first().await, (true, probes.clone()));
    assert_eq!(first().await, (true, does_not.clone()));
    tokio::time::pause();
    tokio::time::advance(DAY - Duration::from_secs(60)).await;
    tokio::time::resume();
    assert_eq!(first().await, (true, does_not));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(120)).await;
    tokio::time::resume();
    // The use of a verdict does not renew it.
    assert_eq!(first().await, (true, probes));
}

#[tokio::test]
async fn handshake_offers_the_newest_older_revision_first_and_is_never_cancelled() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let (input, output) = lines(move |_, request| {
        log.lock().expect("no panic").push(request.clone());
        Vec::new()
    });
    // The peer answers nothing.
    builder().streams(input, output).await.expect_err("no server");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let said = said.lock().expect("no panic").clone();
    let methods: Vec<_> = said.iter().filter_map(|said| said["method"].as_str()).collect();
    // MCP 2025-11-25 basic/utilities/cancellation: "The `initialize` request MUST NOT be cancelled by clients".
    let handshake = said.iter().find(|said| said["method"] == "initialize").expect("a handshake");
    let cancelled = said.iter().filter(|said| said["method"] == "notifications/cancelled");
    assert!(cancelled.clone().all(|cancelled| cancelled["params"]["requestId"] != handshake["id"]), "{said:?}");
    assert_eq!(methods.first(), Some(&"server/discover"));
    assert_eq!(handshake["params"]["protocolVersion"], "2025-11-25");
    assert_ne!(handshake["id"], said[0]["id"], "the handshake has an id of its own");
}

#[tokio::test]
async fn server_of_the_newest_revision_is_not_taken_for_an_older_one_after_failures() {
    let peer = Peer::start(|asked| {
        let error = |code: i64| {
            let id = &asked.body["id"];
            json_body(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#))
        };
        match (asked.method(), asked.body["params"]["name"].as_str()) {
            ("server/discover", _) => result(asked, DISCOVERED),
            (_, Some("400")) => http("400 Bad Request", "", ""),
            (_, Some("404")) => http("404 Not Found", "", ""),
            (_, Some("503")) => http("503 Service Unavailable", "", ""),
            (_, Some("unknown")) => error(-32601),
            (_, Some("version")) => error(-32022),
            (_, Some("good")) => result(asked, ENDED),
            _ => http("405 Method Not Allowed", "", ""),
        }
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    for name in ["400", "404", "503", "unknown", "version"] {
        client.call(name, RawJson::empty_object()).await.expect_err("a failure");
    }
    client.call("good", RawJson::empty_object()).await.expect("a result");
    assert!(client.version().is_modern());
    assert!(!peer.methods().contains(&"initialize".to_owned()), "{:?}", peer.methods());
}

async fn reconnected(subscription: &mut Subscription) {
    let notice = timeout(Duration::from_secs(20), subscription.next()).await.expect("in time").expect("a notice");
    assert!(matches!(notice, Notice::Reconnected), "{notice:?}");
}

#[tokio::test]
async fn subscription_is_made_again_after_a_lost_stream_and_after_the_server_ends_it() {
    let acknowledged = |id: &serde_json::Value| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"toolsListChanged":true}},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    };
    let opened = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        "subscriptions/listen" => {
            let stream = events(&format!("data: {}\n\n", acknowledged(&asked.body["id"])));
            if opened.fetch_add(1, Ordering::SeqCst) == 0 { Reply::Bytes(stream) } else { Reply::Hang(stream) }
        }
        _ => result(asked, ENDED),
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    let mut subscription = client.listen(Filter::lists()).await.expect("a subscription");
    reconnected(&mut subscription).await;

    let opened = AtomicUsize::new(0);
    let (input, output) = lines(move |_, request| {
        let id = &request["id"];
        match request["method"].as_str() {
            Some("server/discover") => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{DISCOVERED}}}\n").into(),
            Some("subscriptions/listen") => {
                // MCP 2026-07-28 basic/patterns/cancellation: a server cancels a subscription in order to end it.
                let end = format!(
                    "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}\n"
                );
                let end = if opened.fetch_add(1, Ordering::SeqCst) == 0 { end } else { String::new() };
                format!("{}\n{end}", acknowledged(id)).into()
            }
            _ => Vec::new(),
        }
    });
    let client = builder().streams(input, output).await.expect("connected");
    let mut subscription = client.listen(Filter::lists()).await.expect("a subscription");
    reconnected(&mut subscription).await;
}

#[tokio::test]
async fn request_about_a_task_repeats_the_id_of_the_task_in_its_head() {
    let peer = Peer::start(|asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        _ => result(asked, r#"{"taskId":"t 1","status":"working"}"#),
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        client.request(Request::new(method).param("taskId", RawJson::text("t 1"))).await.expect("a result");
        let asked = peer.asked.lock().expect("no panic").last().cloned().expect("a request");
        assert_eq!((asked.method(), asked.header("mcp-name")), (method, Some("t 1")));
    }
}

#[tokio::test]
async fn request_after_the_end_of_the_connection_was_certainly_not_sent() {
    let (own_input, output) = tokio::io::duplex(64 * 1024);
    let (input, own_output) = tokio::io::duplex(64 * 1024);
    let answering = tokio::spawn(async move {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        let (mut output, mut lines) = (output, BufReader::new(input).lines());
        let line = lines.next_line().await.expect("readable").expect("the probe");
        let probe: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{DISCOVERED}}}\n", probe["id"]);
        output.write_all(answer.as_bytes()).await.expect("taken");
        // The call is read and not answered.
        lines.next_line().await.expect("readable").expect("the call");
    });
    let client = builder().streams(own_input, own_output).await.expect("connected");
    let error = client.call("t", RawJson::empty_object()).await.expect_err("the connection ends");
    assert!(matches!(error, Error::Lost(_)) && !error.is_unsent(), "{error}");
    answering.await.expect("no panic");
    let error = client.call("t", RawJson::empty_object()).await.expect_err("there is no connection");
    assert!(error.is_unsent(), "{error}");
}
