//! `[server.backend.auth]`: a gate calls its backend with a token of the caller that it gets in
//! exchange, and the token of the caller reaches nothing else.

use crate::client_sign_in::World;
use crate::running::{Running, attache};
use attache_host::Server;
use attache_host::downstream::{Downstream, Grant};
use attache_host::functions::{App, WithHeadersLayer};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

/// A peer on this machine that records every byte that it gets.
struct Recorder {
    address: String,
    seen: Arc<Mutex<String>>,
}

impl Recorder {
    /// Answers each request with what `answer` does with the connection and the first bytes.
    fn start(answer: impl Fn(TcpStream, Vec<u8>, &Mutex<String>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen: Arc<Mutex<String>> = Arc::default();
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut first = vec![0; 64 * 1024];
                    let read = stream.read(&mut first).unwrap_or_default();
                    first.truncate(read);
                    record(&log, &first);
                    answer(stream, first, &log);
                });
            }
        });
        Self { address, seen }
    }

    /// A proxy in front of a server.
    fn before(address: String) -> Self {
        Self::start(move |mut from, first, log| {
            let Ok(mut to) = TcpStream::connect(&address) else { return };
            let (Ok(mut back), Ok(mut out)) = (to.try_clone(), from.try_clone()) else { return };
            thread::spawn(move || std::io::copy(&mut back, &mut out));
            let _ = to.write_all(&first);
            let mut piece = [0; 64 * 1024];
            while let Ok(read @ 1..) = from.read(&mut piece) {
                record(log, &piece[..read]);
                if to.write_all(&piece[..read]).is_err() {
                    return;
                }
            }
        })
    }

    fn seen(&self) -> String {
        self.seen.lock().expect("no panic").clone()
    }
}

fn record(log: &Mutex<String>, bytes: &[u8]) {
    log.lock().expect("no panic").push_str(&String::from_utf8_lossy(bytes));
}

/// A directory of this test.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-downstream-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[test]
fn token_of_a_caller_is_in_no_request_to_a_backend_no_log_and_no_environment_of_a_child() {
    let behind = Running::start();
    let backend = Recorder::before(behind.address().to_owned());
    let issuer = Recorder::start(|mut stream, _, _| {
        let body = r#"{"access_token":"downstream","token_type":"Bearer","expires_in":3600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
    });
    let directory = directory("canary");
    let (log, environment, config) =
        (directory.join("log"), directory.join("environment"), directory.join("attache.toml"));
    let text = format!(
        r#"
        [[server]]
        path = "/mcp"
        [[server.backend]]
        name = "crm"
        url = "http://{}/mcp"
        prefix = "crm_"
        [server.backend.auth]
        kind = "exchange"
        issuer = "http://{}"
        token_endpoint = "http://{}/token"
        client_id = "gate"
        lists = "anonymous"
        [[server.backend]]
        name = "child"
        command = ["sh", "-c", "env >{}; exec {} serve --demo --stdio"]
        prefix = "child_"
        "#,
        backend.address,
        issuer.address,
        issuer.address,
        environment.display(),
        env!("CARGO_BIN_EXE_attache"),
    );
    fs::write(&config, text).expect("written");
    let world = World::with("downstream", |serve| {
        serve.args(["--config", config.to_str().expect("UTF-8"), "--log-level", "trace", "--log-format", "json"]);
        serve.stderr(File::create(&log).expect("a log"));
    });
    let url = world.url();
    let call = ["call", "--sign-in", "--no-browser", &url, "crm_echo", r#"{"text":"hello"}"#];
    let (code, out, said) = world.sign_in(&call, "allow");
    assert_eq!((code, out.as_str()), (0, "hello\n"), "{said}");
    assert_eq!(world.run(&["call", &url, "child_echo", r#"{"text":"a"}"#]).1, "a\n");
    let token = world.token();
    // The signature is the part that makes a token usable.
    let signature = token.rsplit('.').next().expect("a JWT");
    assert!(issuer.seen().contains(signature), "the issuer gets it: {}", issuer.seen());
    assert!(backend.seen().contains("authorization: Bearer downstream"), "{}", backend.seen());
    let logged = fs::read_to_string(&log).expect("a log");
    let environment = fs::read_to_string(&environment).expect("an environment");
    assert!(logged.contains("crm") && environment.contains("PATH="), "{logged} {environment}");
    for (place, text) in [("backend", backend.seen()), ("log", logged), ("environment", environment)] {
        assert!(!text.contains(signature), "{place}: {text}");
        assert!(place == "backend" || !text.contains("Bearer downstream"), "{place}: {text}");
    }
    let _ = fs::remove_dir_all(&directory);
}

#[test]
fn settings_of_tokens_that_do_not_fit_stop_the_start_with_the_remedy() {
    let directory = directory("settings");
    let secret = directory.join("open");
    fs::write(&secret, "s3cret").expect("written");
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("its mode");
    let open = format!("client_secret_file = {:?}", secret.to_str().expect("UTF-8"));
    let (url, command) = (r#"url = "https://crm.example/mcp""#, r#"command = ["sh"]"#);
    let good = "kind = \"exchange\"\nissuer = \"https://id.example\"\nclient_id = \"gate\"";
    for (place, auth, words) in [
        (url, good.to_owned(), None),
        (url, format!("{good}\nscopes = [\"a\", \"b\"]\naudience = \"crm\"\nlists = \"anonymous\""), None),
        (command, good.to_owned(), Some("auth is for a backend with a url")),
        (url, good.replace("exchange", "user"), Some("client-credentials, exchange or on-behalf-of")),
        (url, good.replace("https://id", "http://id"), Some("auth.issuer: http://id.example is not allowed")),
        (url, good.replace("client_id = \"gate\"", ""), Some("auth needs client_id")),
        (url, format!("{good}\nscopes = \"a\""), Some("auth.scopes must be an array")),
        (url, format!("{good}\nscopes = [\"a b\"]"), Some("auth.scopes must be an array")),
        (url, format!("{good}\nsecret = \"a\""), Some("there is no setting auth.secret")),
        (url, format!("{good}\nlists = \"none\""), Some("auth.lists")),
        (url, format!("{good}\ntoken_endpoint = \"http://id.example/token\""), Some("auth.token_endpoint")),
        (url, format!("{good}\ntoken_endpoint = \"https://169.254.169.254/token\""), Some("auth.token_endpoint")),
        (url, format!("{good}\n{open}"), Some("chmod 600")),
        (url, format!("{good}\nclient_secret_file = \"/no/such\""), Some("/no/such")),
    ] {
        let config = directory.join("attache.toml");
        let text = format!(
            "[[server]]\npath = \"/mcp\"\n[[server.backend]]\nname = \"crm\"\n{place}\n[server.backend.auth]\n{auth}\n"
        );
        fs::write(&config, text).expect("written");
        let flags = ["check", "--listen", "127.0.0.1:0", "--config", config.to_str().expect("UTF-8")];
        let run = attache(&flags).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.success(), words.is_none(), "{auth}: {said}");
        assert!(said.contains(words.unwrap_or_default()), "{auth}: {said}");
    }
    let _ = fs::remove_dir_all(&directory);
}

const APP: &str = r#"
import json
import azure.functions as func

app = func.FunctionApp()

@app.mcp_tool()
def headers(ctx: func.MCPToolContext) -> str:
    return json.dumps(ctx["transport"])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn function_sees_the_downstream_token_and_not_what_the_client_has_sent() {
    let files = [("host.json", r#"{"version": "2.0"}"#), ("function_app.py", APP)];
    let Some(app) = crate::functions::Directory::with("downstream", &files) else { return };
    let issuer = Recorder::start(|mut stream, _, _| {
        let body = r#"{"access_token":"downstream","token_type":"Bearer","expires_in":3600}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
    });
    let issuer = format!("http://{}", issuer.address);
    let tokens = Downstream::new(Grant::ClientCredentials, &issuer, "https://graph.example").expect("an issuer");
    let tokens = tokens.client("app", None).token_endpoint(&format!("{issuer}/token")).expect("a URL of the issuer");
    let started = App::at(app.path()).expect("an app").downstream("AAD", tokens).start().await.expect("it loads");
    let router: axum::Router = Server::new("app", "1").backend("", started).routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router.layer(WithHeadersLayer)).await });
    let forged = ["--header", "X-MS-TOKEN-AAD-ACCESS-TOKEN: forged", "--header", "Authorization: Bearer inbound"];
    let run = tokio::task::spawn_blocking(move || {
        attache(&[&["call"], &forged[..], &[&url, "headers"]].concat()).output().expect("it runs")
    });
    let run = run.await.expect("no panic");
    let (out, said) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(out.contains(r#""X-Ms-Token-Aad-Access-Token": "downstream""#), "{out} {said}");
    assert!(!out.contains("forged") && !out.contains("inbound"), "{out}");
}
