//! Proofs for `tool`: reading arguments and writing results, in every type and every way.

use crate::server::{Any, Echo, Every, caller, dispatch, server};
use crate::{keep, proofs};
use attache_core::exchange::{Carrier, Next, Ticket, open};
use attache_core::json::{Slice, Value};
use attache_core::tool::{Args, Arguments, Kind, Nothing, ToolError, template};

proofs! {
    /// Any arguments through the declared application, with any tool and any result.
    fn proof_tool_dispatch(foreign, out) {
        with_ticket(foreign.piece(), |mut ticket| {
            let body = foreign.piece();
            let mut sink = Slice::new(out);
            let who = caller();
            if let Ok(mut output) = ticket.begin(body, &mut sink) {
                keep(dispatch(ticket.call(body, &who), &mut output));
            }
        });
    }

    /// Any arguments as each declared type.
    fn proof_tool_arguments(foreign, _out) {
        with_ticket(foreign.piece(), |ticket| {
            let who = caller();
            let call = ticket.call(foreign.rest(), &who);
            let arguments = call.arguments();
            keep((call.operation(), call.version(), arguments.raw(), arguments.value()));
            read::<Every<'_>>(arguments);
            read::<Any<'_>>(arguments);
            read::<Echo<'_>>(arguments);
            read::<Nothing>(arguments);
            keep(arguments.each(|name, value| {
                keep((name, value));
                Ok(true)
            }));
        });
    }

    /// Each way to write a result, in any order, into any buffer, with any end.
    fn proof_tool_output(foreign, out) {
        let body = foreign.piece();
        with_ticket(body, |mut ticket| {
            let mut sink = Slice::new(out);
            let who = caller();
            let arguments = ticket.call(body, &who).arguments();
            let Ok(mut output) = ticket.begin(body, &mut sink) else {
                return;
            };
            let mut result = Ok(());
            while !foreign.is_empty() && result.is_ok() {
                result = match foreign.byte() % 7 {
                    0 => output.text(foreign.string()),
                    1 => output.fail(foreign.string()),
                    2 => output.text_with(|block| {
                        block.push(foreign.string())?;
                        core::fmt::Write::write_str(block, foreign.string()).map_err(|_| attache_core::json::Full)
                    }),
                    3 => match arguments.read::<Echo<'_>>() {
                        Ok(said) => output.text_with(|block| block.echo(said.text)),
                        Err(error) => output.refuse(error),
                    },
                    4 => Err(ToolError::Failed(core::hint::black_box("a reason"))),
                    5 => output.stream().map(keep),
                    _ => Err(ToolError::Full),
                };
            }
            keep(ticket.finish(server(), output, result));
        });
    }

    /// The tables, asked for any entry, and a template matched against any URI.
    fn proof_tool_table(foreign, _out) {
        for kind in [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template] {
            let offers = server().offers();
            keep(offers.key(kind, foreign.number()));
            offers.members(kind, foreign.number(), &mut |member| keep(member));
            keep((offers.len(kind), offers.features(), offers.generation()));
        }
        if let Some(uri) = Value::parse(foreign.rest()).ok().and_then(|value| value.text()) {
            keep(template::variable(core::hint::black_box("x://{a}/{b}"), uri, core::hint::black_box("b")));
            keep(server().offers().find(Kind::Template, uri));
        }
    }
}

fn with_ticket(body: &[u8], then: impl FnOnce(Ticket)) {
    if let Next::Call(ticket) = open(server(), &caller(), Carrier::Line(None), body).next {
        then(ticket);
    }
}

fn read<'a, A: Args<'a>>(arguments: Arguments<'a>) {
    match arguments.read::<A>() {
        Ok(read) => keep(read),
        Err(error) => keep(error.problem()),
    }
}
