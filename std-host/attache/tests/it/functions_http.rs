//! Functions with HTTP triggers: constraints of routes, and cookies.

use crate::functions::{Directory, Running, post_for_head};
use serde_json::json;

const PYTHON: &str = r#"
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="items/{id:int:min(1)}")
def by_number(req: func.HttpRequest) -> str:
    return "number " + req.route_params["id"]

@app.route(route="items/{name:alpha=none}")
def by_name(req: func.HttpRequest) -> str:
    return "name " + req.route_params["name"]

@app.route(route="odd/{id:odd}")
def odd(req: func.HttpRequest) -> str:
    return "odd"

@app.route(route="cookies")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("set")
    response.headers.add_header("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    response.headers.add_header("Set-Cookie", "b=2; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure")
    return response

@app.mcp_tool()
def hello() -> str:
    return "hello"
"#;

const NODE: &str = r#"
const { app } = require('@azure/functions');
const http = (name, route, handler) => app.http(name, { route, authLevel: 'anonymous', handler });
http('byNumber', 'items/{id:int:min(1)}', async (request) => ({ body: `number ${request.params.id}` }));
http('byName', 'items/{name:alpha=none}', async (request) => ({ body: `name ${request.params.name}` }));
http('odd', 'odd/{id:odd}', async () => ({ body: 'odd' }));
http('cookies', 'cookies', async () => ({ body: 'set', cookies: [
  { name: 'a', value: '1', path: '/', httpOnly: true, sameSite: 'Lax', maxAge: 60 },
  { name: 'b', value: '2', expires: new Date(784111777000), secure: true },
] }));
app.mcpTool('hello', { toolName: 'hello', description: 'Hello', toolProperties: {}, handler: () => 'hello' });
"#;

#[test]
fn constraints_of_routes_choose_the_function_and_cookies_reach_the_client() {
    let host = ("host.json", "{}");
    let python: &[_] = &[host, ("function_app.py", PYTHON)];
    let node: &[_] = &[host, ("package.json", r#"{"main": "index.js"}"#), ("index.js", NODE)];
    for (language, files) in [("routes-python", python), ("routes-node", node)] {
        let Some(app) = Directory::with(language, files) else { return };
        let server = Running::start(&app);
        let get = |path: &str| post_for_head(&server.at(path), &[], b"");
        for (path, status, body) in [
            ("/api/items/7", 200, "number 7"),
            ("/api/items/seven", 200, "name seven"),
            ("/api/items", 200, "name none"),
            ("/api/items/0", 404, ""),
            ("/api/items/7a", 404, ""),
        ] {
            let (answered, _, text) = get(path);
            assert_eq!(answered, status, "{language} {path}");
            if status == 200 {
                assert_eq!(String::from_utf8_lossy(&text), body, "{language} {path}");
            }
        }
        server.logs("the constraint \"odd\" is not supported");
        assert_eq!(get("/api/odd/1").0, 404, "{language}: a route that cannot be checked is not served");
        let (_, head, body) = get("/api/cookies");
        assert_eq!(body, b"set");
        let set: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
        let expected =
            ["a=1; Max-Age=60; Path=/; SameSite=Lax; HttpOnly", "b=2; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure"];
        assert_eq!(set, expected, "{language}");
        assert_eq!(server.text("hello", json!({})), "hello");
    }
}
