//! Results and the room they need: a result that does not fit is an error; an emitted answer needs
//! no room.

use crate::bad_input::modern;
use crate::demo::{Demo, SERVER, tools};
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Carrier, answer};
use attache_core::json::{Sink, Slice};
use attache_core::tool::{ToolError, ToolResult};
use serde_json::{Value, json};

const WHO: Authenticated<'static> = Authenticated::anonymous(&Access::Anonymous);

fn echo(text: &str) -> Vec<u8> {
    modern(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{text}"}},«M»}}}}"#
    ))
}

/// Returns the answer to `body` with `room` bytes for a result, sent through a buffer of `piece`
/// bytes.
fn sent(body: &[u8], room: usize, piece: usize) -> Vec<u8> {
    let mut buffer = vec![0; room];
    let mut out = Slice::new(&mut buffer);
    let reply =
        answer(&SERVER, &WHO, Carrier::Line(None), body, &mut out, |call, output| tools::dispatch(&Demo, call, output));
    let reply = reply.expect("a request is answered");
    let mut emission = reply.emit(&SERVER, body, out.written());
    let announced = emission.len();
    let mut sent = Vec::new();
    let mut piece = vec![0; piece];
    loop {
        match emission.fill(&mut piece) {
            0 => break,
            len => sent.extend_from_slice(&piece[..len]),
        }
    }
    assert_eq!(sent.len(), announced);
    sent
}

#[test]
fn result_that_fits_to_the_byte_is_sent_and_one_byte_less_room_is_an_error() {
    let body = echo("hello");
    let whole = sent(&body, 4096, 4096);
    assert_eq!(sent(&body, whole.len(), 4096), whole);
    for room in 0..whole.len() {
        let answer: Value = serde_json::from_slice(&sent(&body, room, 4096)).expect("JSON");
        assert_eq!(answer["error"]["code"], -32603, "room {room}");
        assert_eq!(answer["id"], 1, "room {room}");
    }
}

#[test]
fn list_through_a_buffer_of_any_size_is_the_same_list() {
    let body = modern(r#"{"jsonrpc":"2.0","id":"l","method":"tools/list","params":{«M»}}"#);
    let whole = sent(&body, 0, 64 * 1024);
    let names: Value = serde_json::from_slice(&whole).expect("JSON");
    assert_eq!(names["result"]["tools"][1]["name"], "add");
    for piece in 1..100 {
        assert_eq!(sent(&body, 0, piece), whole, "pieces of {piece}");
    }
}

#[test]
fn result_behind_other_bytes_in_the_sink_leaves_them_alone() {
    let body = echo("x");
    let mut buffer = [0; 1024];
    let mut out = Slice::new(&mut buffer);
    out.put(b"head").expect("there is room");
    let reply = answer(&SERVER, &WHO, Carrier::Line(None), &body, &mut out, |call, output| {
        tools::dispatch(&Demo, call, output)
    });
    let reply = reply.expect("a request is answered");
    assert!(out.written().starts_with(b"head{\"jsonrpc\""));
    let mut sent = [0; 1024];
    let len = reply.emit(&SERVER, &body, out.written()).fill(&mut sent);
    assert_eq!(&sent[..len], &out.written()[4..]);
}

#[test]
fn handler_that_fails_after_writing_leaves_only_its_reason() {
    let body = echo("x");
    let mut buffer = [0; 1024];
    let mut out = Slice::new(&mut buffer);
    let reply = answer(&SERVER, &WHO, Carrier::Line(None), &body, &mut out, |_, output| {
        output.text("half a result")?;
        Err(ToolError::Failed("the sensor is \"gone\""))
    });
    assert!(reply.is_some());
    let answer: Value = serde_json::from_slice(out.written()).expect("JSON");
    assert_eq!(answer["result"]["isError"], true);
    assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": "the sensor is \"gone\""}]));
}

#[test]
fn handler_that_writes_nothing_has_an_empty_content() {
    let body = echo("x");
    let mut buffer = [0; 1024];
    let mut out = Slice::new(&mut buffer);
    let reply = answer(&SERVER, &WHO, Carrier::Line(None), &body, &mut out, |_, _| Ok(()));
    assert!(reply.is_some());
    let answer: Value = serde_json::from_slice(out.written()).expect("JSON");
    assert_eq!(answer["result"]["content"], json!([]));
}

#[test]
fn handler_that_goes_on_after_a_block_did_not_fit_sends_whole_blocks_only() {
    let body = echo("x");
    let long = "x".repeat(500);
    let answered = |handler: &dyn Fn(&mut attache_core::tool::Output<'_>) -> ToolResult| -> Value {
        let mut buffer = [0; 400];
        let mut out = Slice::new(&mut buffer);
        let reply = answer(&SERVER, &WHO, Carrier::Line(None), &body, &mut out, |_, output| handler(output));
        assert!(reply.is_some());
        serde_json::from_slice(out.written()).expect("JSON")
    };
    let ignored = answered(&|out| {
        let _ = out.text(&long);
        Ok(())
    });
    assert_eq!(ignored["result"]["content"], json!([]));
    let shorter = answered(&|out| out.text("first").and_then(|()| out.text(&long)).or_else(|_| out.text("too long")));
    assert_eq!(
        shorter["result"]["content"],
        json!([{"type": "text", "text": "first"}, {"type": "text", "text": "too long"}])
    );
    let half = answered(&|out| {
        let cut = out.text_with(|block| {
            let _ = block.push("front").and_then(|()| block.push(&long));
            Ok(())
        });
        assert_eq!(cut, Err(ToolError::Full));
        out.text("none of it")
    });
    assert_eq!(half["result"]["content"], json!([{"type": "text", "text": "none of it"}]));
}
