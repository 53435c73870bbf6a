//! A server on standard input and output, as clients start it: configure a client with the path of
//! this program as the command.

use attache_host::prelude::*;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::new("answers", "1.0").tool("answer", "The answer to everything", async |_: NoArgs, _: Ctx| 42);
    stdio::serve(server.build(), tokio::io::stdin(), tokio::io::stdout()).await
}
