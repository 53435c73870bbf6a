//! `attache mcp-json`: what each client gets for each way of signing in.

use crate::running::attache;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A configuration file in a directory of its own.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-mcp-json-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).expect("written");
        Self(path)
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let path = self.0.to_str().expect("UTF-8");
        let run = attache(&[&["mcp-json", "--config", path], arguments].concat()).output().expect("it runs");
        serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const ENTRA: &str = "https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000/v2.0";

#[test]
fn client_id_is_printed_in_the_form_of_each_client() {
    let text = format!(
        "[auth]\nissuer = \"{ENTRA}\"\nresource = \"https://api.example/mcp\"\nclient_id = \"desk\"\nscopes = [\"api://a/use\"]\n"
    );
    let file = File::new("client-id", &text);
    for (arguments, list, member, expected) in [
        (&["--for", "vscode"][..], "servers", "oauth", json!({"clientId": "desk"})),
        (&["--for", "claude"], "mcpServers", "oauth", json!({"clientId": "desk"})),
        (&["--for", "cursor"], "mcpServers", "auth", json!({"CLIENT_ID": "desk", "scopes": ["api://a/use"]})),
        (&["--for", "vscode", "--client-id", "other"], "servers", "oauth", json!({"clientId": "other"})),
    ] {
        assert_eq!(file.run(arguments)[list]["attache"][member], expected, "{arguments:?}");
    }
    let without = File::new("no-client-id", &text.replace("client_id", "# client_id"));
    assert_eq!(without.run(&[])["servers"]["attache"].get("oauth"), None);
}

#[test]
fn agent_of_foundry_gets_a_connection_for_each_credential() {
    let key = "[auth]\nkeys_file = \"k\"\n";
    let entra = format!(
        "[auth]\nissuer = \"{ENTRA}\"\nresource = \"https://api.example/mcp\"\naudiences = [\"api://a\"]\nscopes = [\"api://a/use\"]\n"
    );
    let other = "[auth]\nissuer = \"https://id.example\"\nresource = \"https://api.example/mcp\"\n";
    let secret = |id: &str| json!({"clientId": id, "clientSecret": "${CLIENT_SECRET}"});
    let login = ENTRA.strip_suffix("/v2.0").expect("it ends so");
    for (name, text, arguments, expected) in [
        ("open", "", &[][..], json!({"authType": "None"})),
        (
            "key",
            key,
            &[],
            json!({"authType": "CustomKeys", "credentials": {"keys": {"x-functions-key": "${ATTACHE_KEY}"}}}),
        ),
        ("identity", &entra, &[], json!({"authType": "ProjectManagedIdentity", "audience": "api://a"})),
        ("url", other, &[], json!({"authType": "ProjectManagedIdentity", "audience": "https://api.example/mcp"})),
        (
            "person",
            &entra,
            &["--client-id", "agents"],
            json!({
                "authType": "OAuth2", "credentials": secret("agents"), "scopes": ["api://a/use"],
                "authorizationUrl": format!("{login}/oauth2/v2.0/authorize"),
                "tokenUrl": format!("{login}/oauth2/v2.0/token"), "refreshUrl": format!("{login}/oauth2/v2.0/token"),
            }),
        ),
        (
            "unknown",
            other,
            &["--credential", "oauth"],
            json!({
                "authType": "OAuth2", "credentials": secret("${CLIENT_ID}"), "scopes": [],
                "authorizationUrl": "${AUTHORIZATION_ENDPOINT}", "tokenUrl": "${TOKEN_ENDPOINT}",
                "refreshUrl": "${TOKEN_ENDPOINT}",
            }),
        ),
    ] {
        let json = File::new(name, text).run(&[&["--for", "foundry"], arguments].concat());
        let mut expected = expected;
        let url = if text.contains("resource") { "https://api.example/mcp" } else { "http://127.0.0.1:8080/mcp" };
        for (member, value) in
            [("category", json!("RemoteTool")), ("target", json!(url)), ("isSharedToAll", json!(true))]
        {
            expected[member] = value;
        }
        assert_eq!(json["connections"], json!([{"name": "attache", "properties": expected}]), "{name}");
        let tool = json!({
            "type": "mcp", "server_label": "attache", "server_url": url, "project_connection_id": "attache",
            "require_approval": "always",
        });
        assert_eq!(json["tools"], json!([tool]), "{name}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused_with_the_reason() {
    for (arguments, words) in [
        (&["--credential", "key"][..], "--for foundry"),
        (&["--for", "foundry", "--stdio"], "exclude each other"),
        (&["--client-id", "a", "--stdio"], "cannot be used with"),
    ] {
        let run = attache(&[&["mcp-json"], arguments].concat()).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && said.contains(words), "{arguments:?}: {said}");
    }
}
