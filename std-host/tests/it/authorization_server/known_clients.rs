//! What known clients send, as scripts: a change of one of them is a change of its row.

use super::*;

/// The habits of a client.
#[derive(Clone, Copy)]
struct Script {
    name: &'static str,
    /// The metadata with which it registers.
    registration: &'static str,
    /// The redirect URI with which it signs in. Clients on this machine choose a port of their own.
    redirect_uri: &'static str,
    /// Parameters of the authorization request, apart from those that all clients send.
    asks: &'static [(&'static str, &'static str)],
    /// The value of `scope` in the answer.
    granted: &'static str,
    /// Parameters of the request that redeems the code.
    redeems: &'static [(&'static str, &'static str)],
    /// Parameters of the request that refreshes.
    refreshes: &'static [(&'static str, &'static str)],
}

const ALL: &str = "mcp.read mcp.write";
const OF_RESOURCE: (&str, &str) = ("resource", RESOURCE);

const SCRIPTS: [Script; 9] = [
    Script {
        name: "Visual Studio Code",
        registration: r#"{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com",
            "grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
            "response_types":["code"],"redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect",
            "http://127.0.0.1/","http://127.0.0.1:33418/"],"scope":"mcp.read mcp.write","token_endpoint_auth_method":"none",
            "application_type":"native"}"#,
        redirect_uri: "http://127.0.0.1:54321/",
        asks: &[("scope", "mcp.read mcp.write"), OF_RESOURCE],
        granted: ALL,
        redeems: &[OF_RESOURCE],
        refreshes: &[OF_RESOURCE],
    },
    Script {
        name: "Claude Code",
        registration: r#"{"client_name":"Claude Code (gate)","redirect_uris":["http://localhost/callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}"#,
        redirect_uri: "http://localhost:61234/callback",
        // It sends no scope unless it is told one, and adds a slash to a bare origin.
        asks: &[OF_RESOURCE, ("prompt", "consent")],
        granted: ALL,
        redeems: &[OF_RESOURCE],
        refreshes: &[OF_RESOURCE],
    },
    Script {
        name: "Claude",
        registration: r#"{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"mcp.read offline_access",
            "token_endpoint_auth_method":"client_secret_post"}"#,
        redirect_uri: "https://claude.ai/api/mcp/auth_callback",
        asks: &[("scope", "mcp.read offline_access"), OF_RESOURCE, ("prompt", "consent")],
        granted: "mcp.read",
        redeems: &[OF_RESOURCE],
        refreshes: &[OF_RESOURCE, ("scope", "mcp.read offline_access")],
    },
    Script {
        name: "ChatGPT",
        registration: r#"{"client_name":"ChatGPT","redirect_uris":["https://chatgpt.com/connector_platform_oauth_redirect"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}"#,
        redirect_uri: "https://chatgpt.com/connector_platform_oauth_redirect",
        asks: &[("scope", "mcp.read mcp.write offline_access"), OF_RESOURCE],
        granted: ALL,
        redeems: &[OF_RESOURCE],
        refreshes: &[],
    },
    Script {
        name: "Codex",
        registration: r#"{"client_name":"Codex","redirect_uris":["http://127.0.0.1:1455/callback/dGVzdHRlc3R0"],
            "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none","response_types":["code"]}"#,
        redirect_uri: "http://127.0.0.1:40000/callback/dGVzdHRlc3R0",
        // It takes the scopes of the authorization server, and sends no resource with the code.
        asks: &[("scope", "mcp.read mcp.write offline_access"), OF_RESOURCE],
        granted: ALL,
        redeems: &[],
        refreshes: &[],
    },
    Script {
        name: "Cursor",
        registration: r#"{"client_name":"Cursor","redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"],
            "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none","response_types":["code"]}"#,
        redirect_uri: "cursor://anysphere.cursor-mcp/oauth/callback",
        asks: &[("scope", "mcp.read mcp.write")],
        granted: ALL,
        redeems: &[],
        refreshes: &[],
    },
    Script {
        name: "Gemini CLI",
        registration: r#"{"client_name":"Gemini CLI MCP Client","redirect_uris":["http://localhost:7777/oauth/callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none",
            "scope":""}"#,
        redirect_uri: "http://localhost:35791/oauth/callback",
        asks: &[("scope", "mcp.read"), OF_RESOURCE],
        granted: "mcp.read",
        redeems: &[OF_RESOURCE],
        refreshes: &[OF_RESOURCE],
    },
    Script {
        name: "Inspector",
        registration: r#"{"client_name":"MCP Inspector","redirect_uris":["http://localhost:6274/oauth/callback"],
            "application_type":"native","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
            "token_endpoint_auth_method":"none","client_uri":"https://github.com/modelcontextprotocol/inspector"}"#,
        redirect_uri: "http://localhost:6274/oauth/callback",
        asks: &[("scope", "mcp.read mcp.write offline_access"), OF_RESOURCE, ("prompt", "consent")],
        granted: ALL,
        redeems: &[OF_RESOURCE],
        refreshes: &[OF_RESOURCE],
    },
    Script {
        name: "mcp-remote",
        registration: r#"{"client_name":"MCP CLI Proxy","redirect_uris":["http://localhost:3334/oauth/callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none",
            "software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1"}"#,
        redirect_uri: "http://localhost:43215/oauth/callback",
        // It ends its list of sources for scopes with those of OpenID Connect, which mean nothing here.
        asks: &[("scope", "openid email profile mcp.read"), OF_RESOURCE],
        granted: "mcp.read",
        redeems: &[],
        refreshes: &[],
    },
];

impl Script {
    async fn run(&self) {
        let Self { name, redirect_uri, .. } = *self;
        let mut world = World::of(server().scopes(["mcp.read", "mcp.write"]));
        let registered = world.register(serde_json::from_str(self.registration).expect("JSON")).await;
        assert_eq!(registered.status, 201, "{name}: {registered:?}");
        let client = registered.json()["client_id"].as_str().expect("an id").to_owned();
        let own = [("response_type", "code"), ("client_id", &*client), ("redirect_uri", redirect_uri)];
        let own =
            [&own[..], &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("state", "s")]].concat();
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(own).extend_pairs(self.asks).finish();
        let page = world.get(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(page.status, 200, "{name}: {page:?}");
        for cookie in page.headers.get_all(SET_COOKIE) {
            world.cookies.push(cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned());
        }
        let back = world.allow(&page).await.redirected(redirect_uri);
        let value = |name: &str| back.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        assert_eq!((value("state"), value("iss")), (Some("s"), Some(ISSUER)), "{name}");
        let code = value("code").expect("a code");
        let form = [("grant_type", "authorization_code"), ("client_id", &*client), ("code", code)];
        let form = [&form[..], &[("redirect_uri", redirect_uri), ("code_verifier", VERIFIER)], self.redeems].concat();
        let tokens = world.post("/oauth/token", &form).await;
        assert_eq!((tokens.status, tokens.field("cache-control")), (200, "no-store"), "{name}: {tokens:?}");
        let tokens = tokens.json();
        assert_eq!((&tokens["scope"], &tokens["token_type"]), (&json!(self.granted), &json!("Bearer")), "{name}");
        let (_, claims) = parts(&tokens["access_token"]);
        assert_eq!(claims["aud"], RESOURCE, "{name}");
        let refresh = tokens["refresh_token"].as_str().expect("every client gets one");
        let answer = world.refresh(&client, refresh, self.refreshes).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_eq!(answer.json()["scope"], self.granted, "{name}");
    }
}

#[tokio::test]
async fn known_clients_sign_in_and_refresh_by_what_they_send() {
    for script in SCRIPTS {
        script.run().await;
    }
}
