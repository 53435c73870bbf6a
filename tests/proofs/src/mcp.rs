//! Proofs for `mcp`: parameters, methods, and the texts of the lists.

use crate::server::{server, version};
use crate::{keep, proofs};
use attache_core::era::Version;
use attache_core::json::{Reader, Value};
use attache_core::mcp::{Method, Page, Params, discover, initialize};
use attache_core::rpc::Window;
use attache_core::tool::Kind;

proofs! {
    /// Any `params`, with every member that some method needs.
    fn proof_mcp_params(foreign, _out) {
        let mut params = Params::default();
        if let Ok(mut reader) = Reader::new(foreign.rest()) {
            keep(params.read(&mut reader));
        }
        keep((params.check_meta(), params.name(), params.arguments(), params.cursor(), params.uri()));
    }

    /// The name of any method.
    fn proof_mcp_method(foreign, _out) {
        let version = version(&mut foreign).unwrap_or(Version::V2026_07_28);
        if let Some(name) = Value::parse(foreign.rest()).ok().and_then(|value| value.text()) {
            keep(Method::named(name).map(|method| (method.name(), method.is_served(version, server()))));
        }
    }

    /// Any section of the list, also one far beyond its end, and the server's description of
    /// itself.
    fn proof_mcp_list(foreign, out) {
        let version = version(&mut foreign).unwrap_or(Version::V2026_07_28);
        let at = foreign.number();
        let cursor = Value::parse(foreign.rest()).ok().and_then(|value| value.text());
        for kind in [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template] {
            if let Some(page) = Page::find(server(), kind, version, cursor) {
                let mut window = Window::new(out, at);
                keep((page.section(server(), at, &mut window), page.sections()));
                keep(window);
            }
        }
        let mut window = Window::new(out, at);
        discover(server(), &mut window);
        initialize(server(), version, &mut window);
        keep(window);
    }
}
