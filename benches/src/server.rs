//! The measured servers, and the path of one request through the engine.

use attache_core::auth::{Access, Authenticated, Gate};
use attache_core::era::{Client, Session, Version};
use attache_core::exchange::{Carrier, Next, Reply, Standalone, open};
use attache_core::http::{Door, Field, HeadFacts, LOOPBACK, Policy, fields, gate};
use attache_core::json::{Slice, Text};
use attache_core::mcp::Server;
use attache_core::seal::Key;
use attache_core::tool::{Call, Output, Tables, ToolResult};
use core::hint::black_box;
use std::sync::LazyLock;

attache_core::args! {
    /// Arguments of `echo`.
    pub struct Say<'a> { /** What to say */ text: Text<'a> }
}

attache_core::args! {
    /// Arguments of the tools that are only listed.
    pub struct Channel {
        /** Number of the channel, counted from zero */ channel: u8,
        /** Value to set, or nothing to leave it as it is */ value: Option<i32>,
    }
}

attache_core::tools! { pub mod echo for Application {
    /// Say it again
    #[read_only] fn echo(Say<'_>);
} }

attache_core::tools! { pub mod twenty for Application {
    /// Switch one of the relays on or off
    #[idempotent] fn set_relay(Channel);
    /// Read whether one of the relays is on
    #[read_only] fn get_relay(Channel);
    /// Set the brightness of one of the lamps, in percent
    #[idempotent] fn set_lamp(Channel);
    /// Read the brightness of one of the lamps, in percent
    #[read_only] fn get_lamp(Channel);
    /// Set the speed of one of the fans, in revolutions a minute
    #[idempotent] fn set_fan(Channel);
    /// Read the speed of one of the fans, in revolutions a minute
    #[read_only] fn get_fan(Channel);
    /// Open or close one of the valves
    #[idempotent] fn set_valve(Channel);
    /// Read whether one of the valves is open
    #[read_only] fn get_valve(Channel);
    /// Set the temperature that one of the heaters is to keep, in degrees Celsius
    #[idempotent] fn set_heater(Channel);
    /// Read the temperature that one of the heaters is to keep, in degrees Celsius
    #[read_only] fn get_heater(Channel);
    /// Read the temperature at one of the sensors, in hundredths of a degree Celsius
    #[read_only] fn temperature(Channel);
    /// Read the relative humidity at one of the sensors, in percent
    #[read_only] fn humidity(Channel);
    /// Read the pressure at one of the sensors, in pascal
    #[read_only] fn pressure(Channel);
    /// Read the voltage at one of the inputs, in millivolts
    #[read_only] fn voltage(Channel);
    /// Read the current through one of the outputs, in milliamperes
    #[read_only] fn current(Channel);
    /// Count the pulses at one of the inputs since the last reset
    #[read_only] fn pulses(Channel);
    /// Set the counter of one of the inputs back to zero
    #[idempotent] fn reset_pulses(Channel);
    /// Move one of the servos to an angle, in degrees
    #[idempotent] fn set_servo(Channel);
    /// Store the state of one of the channels, to be restored after a power failure
    #[additive] fn store(Channel);
    /// Restart the board; every channel goes back to its stored state
    fn restart(Channel);
} }

struct Application;

impl Application {
    fn echo(&self, said: Say<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }
}

/// The tools that are only listed; all have the same handler.
macro_rules! listed {
    ($($tool:ident)*) => {
        impl Application { $(
            fn $tool(&self, _: Channel, out: &mut Output<'_>) -> ToolResult {
                out.text("done")
            }
        )* }
    };
}
listed! {
    set_relay get_relay set_lamp get_lamp set_fan get_fan set_valve get_valve set_heater get_heater temperature humidity
    pressure voltage current pulses reset_pulses set_servo store restart
}

/// A server and the dispatcher of its tools.
#[derive(Debug)]
pub struct Bench {
    server: Server<'static>,
    dispatch: fn(Call<'_>, &mut Output<'_>) -> ToolResult,
}

/// A server with the one tool `echo`.
pub static ECHO: Bench = Bench {
    server: Server::new("bench", "1.0.0", &const { Tables::of_tools(echo::TOOLS) }),
    dispatch: |call, out| echo::dispatch(&Application, call, out),
};

/// A server with twenty tools of two arguments each.
pub static TWENTY: Bench = Bench {
    server: Server::new("bench", "1.0.0", &const { Tables::of_tools(twenty::TOOLS) }),
    dispatch: |call, out| twenty::dispatch(&Application, call, out),
};

/// The keys that seal session ids.
static KEYS: LazyLock<[Key; 1]> = LazyLock::new(|| [Key::new([7; 32])]);

/// The time of every request, in seconds.
const NOW: u64 = 1_800_000_000;

/// Opens the session that a request names, if any. Opening an id takes one MAC.
fn session(facts: &HeadFacts<'_>, who: &Authenticated<'_>) -> Option<Session> {
    match facts.session {
        Field::Once(id) => Some(Session::open(&*KEYS, who.identity(), NOW, id).expect("an id of ours")),
        _ => None,
    }
}

/// Returns the sealed id of a session of this revision.
pub fn session_id(version: Version) -> String {
    let session = Session { version, client: Client::FORMS, name: [1; 16], home: [2; 4], ends: NOW + 60 };
    let who = Authenticated::anonymous(&Access::Anonymous);
    let mut room = [0; 128];
    let mut id = Slice::new(&mut room);
    session.seal(&KEYS[0], who.identity(), &mut id).expect("there is room");
    String::from_utf8(id.written().to_vec()).expect("an id is ASCII")
}

impl Bench {
    /// Answers a line of a connection that has agreed on `version`, if a handshake opened it. The
    /// answer goes to `send` piece by piece.
    pub fn line(&self, version: Option<Version>, body: &[u8], buffers: &mut Buffers, send: impl FnMut(&[u8])) {
        let who = Authenticated::anonymous(&Access::Anonymous);
        let mut out = Slice::new(&mut buffers.result);
        if let Some(reply) = self.reply(&who, Carrier::Line(version), body, &mut out) {
            self.send(&reply, body, out.written(), &mut buffers.answer, send);
        }
    }

    /// Answers a POST with this head as an adapter would: the gate first, and the length before the
    /// answer.
    pub fn post(&self, head: &[(&str, impl AsRef<str>)], body: &[u8], buffers: &mut Buffers, send: impl FnMut(&[u8])) {
        let mut facts = HeadFacts::new(b"POST");
        for (name, value) in head {
            facts.note(name.as_bytes(), value.as_ref().as_bytes());
        }
        let policy = Policy { hosts: LOOPBACK, origins: &[], access: Gate::Open(Access::Anonymous) };
        let mut out = Slice::new(&mut buffers.result);
        let reply = match gate(&facts, &policy) {
            Door::In(who) => match session(&facts, &who) {
                Some(session) => self.reply(&who, Carrier::Session(&facts, session), body, &mut out),
                None => self.reply(&who, Carrier::Http(&facts), body, &mut out),
            },
            Door::Out(refusal) => Some(Standalone::refused(refusal).into()),
            Door::NeedKey(_) => unreachable!("nothing has to be shown"),
        };
        if let Some(reply) = reply {
            black_box((reply.status(), fields(reply.status())));
            black_box(reply.emit(&self.server, body, out.written()).len());
            self.send(&reply, body, out.written(), &mut buffers.answer, send);
        }
    }

    fn reply(&self, who: &Authenticated<'_>, carrier: Carrier<'_>, body: &[u8], out: &mut Slice<'_>) -> Option<Reply> {
        match open(&self.server, who, carrier, body).next {
            Next::Call(mut ticket) => Some(match ticket.begin(body, out) {
                Err(reply) => reply,
                Ok(mut output) => {
                    let result = (self.dispatch)(ticket.call(body, who), &mut output);
                    ticket.finish(&self.server, output, result)
                }
            }),
            Next::Reply(reply) | Next::Remember(_, reply) => Some(reply),
            Next::Listen(_) | Next::Cancel(_) | Next::Answer(..) | Next::Batch(_) | Next::Ack => None,
        }
    }

    fn send(&self, reply: &Reply, body: &[u8], written: &[u8], buffer: &mut [u8], mut send: impl FnMut(&[u8])) {
        let mut emission = reply.emit(&self.server, body, written);
        loop {
            let len = emission.fill(buffer);
            send(&buffer[..len]);
            // A buffer that is not full has had room for the end.
            if len < buffer.len() {
                return;
            }
        }
    }
}

/// The buffers that a connection lends to each of its requests.
#[derive(Debug)]
pub struct Buffers {
    /// Room for a tool's result.
    result: [u8; 512],
    /// Room for a piece of the answer, as large as a host sends at once.
    answer: [u8; 4096],
}

impl Buffers {
    /// Makes empty buffers.
    pub const fn new() -> Self {
        Self { result: [0; 512], answer: [0; 4096] }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}
