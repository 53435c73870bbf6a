//! A server on standard input and output, as clients start it: configure a client with the path of
//! this program as the command.

use attache_host::prelude::*;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::new("pi", "1.0").tool("pi", "Pi, roughly", async |_: NoArgs, _: Ctx| 3.14159);
    stdio::serve(server.build(), tokio::io::stdin(), tokio::io::stdout()).await
}
