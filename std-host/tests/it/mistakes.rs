//! The compiler's messages for common mistakes in handlers: each names the author's line, and says
//! what to write. The sources are checked against the library that these tests are linked with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A mistake on the line that ends with `// here`, and words that the message must contain.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "handler_without_ctx",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", async |_: Args| \"x\") // here
        }",
        "expected to take 2 arguments, but it takes 1",
    ),
    (
        "handler_that_is_not_async",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", |_: Args, _: Ctx| \"x\") // here
        }",
        "`&str` is not a future",
    ),
    (
        "arguments_without_a_schema",
        "#[derive(Deserialize)] #[serde(crate = \"attache_host::serde\")] struct Plain { a: u8 }
        async fn h(_: Plain, _: Ctx) {}
        fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", h) // here
        }",
        "the trait bound `Plain: JsonSchema` is not satisfied",
    ),
    (
        "arguments_that_cannot_be_read",
        "#[derive(JsonSchema)] #[schemars(crate = \"attache_host::schemars\")] struct Plain { a: u8 }
        async fn h(_: Plain, _: Ctx) {}
        fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", h) // here
        }",
        "`Plain: serde::de::DeserializeOwned` is not satisfied",
    ),
    (
        "result_without_json",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", async |args: Args, _: Ctx| args) // here
        }",
        "`Args` is not a result of a tool",
    ),
    (
        "error_of_another_type",
        "async fn h(_: Args, _: Ctx) -> Result<String, std::io::Error> { Ok(String::new()) }
        fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", h) // here
        }",
        "Error>` is not a result of a tool",
    ),
    (
        "value_that_cannot_be_sent_over_an_await",
        "async fn h(_: Args, ctx: Ctx) {
            let shared = std::rc::Rc::new(1);
            ctx.progress(1.0, None, None).await;
            drop(shared);
        }
        fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", h) // here
        }",
        "future cannot be sent between threads safely",
    ),
    (
        "async_closure_that_captures",
        "fn f(server: ServerBuilder, name: String) -> ServerBuilder {
            server.tool(\"a\", \"d\", async move |_: Args, _: Ctx| name.len()) // here
        }",
        "captures state from its environment",
    ),
    (
        "closure_without_types",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", async |args, _: Ctx| \"x\") // here
        }",
        "type annotations needed",
    ),
    (
        "method_without_with",
        "struct App; impl App { async fn h(self: std::sync::Arc<Self>, _: Args, _: Ctx) {} }
        fn f(server: ServerBuilder) -> ServerBuilder {
            server.tool(\"a\", \"d\", App::h) // here
        }",
        "function is expected to take 2 arguments, but it takes 3",
    ),
    (
        "method_of_another_form_in_with",
        "struct App; impl App { async fn h(&self, _: Args, _: Ctx) {} }
        fn f(server: ServerBuilder, app: &std::sync::Arc<App>) -> ServerBuilder {
            server.tool(\"a\", \"d\", with(app, App::h)) // here
        }",
        "type mismatch in function arguments",
    ),
    (
        "error_that_cannot_be_converted",
        "async fn h(_: Args, _: Ctx) -> Result<u8, ToolError> {
            static LOCK: std::sync::Mutex<u8> = std::sync::Mutex::new(1);
            Ok(*LOCK.lock()?) // here
        }",
        "`?` couldn't convert the error",
    ),
    (
        "prompt_that_returns_a_number",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.with_prompt(Prompt::new(\"a\", \"d\", async |_: Args, _: Ctx| 5_u8)) // here
        }",
        "`u8` is not a result of a prompt",
    ),
    (
        "resource_that_returns_a_number",
        "fn f(server: ServerBuilder) -> ServerBuilder {
            server.with_resource(Resource::new(\"a://b\", \"n\", \"text/plain\", async |_: ResourceRequest, _: Ctx| 5_u8)) // here
        }",
        "`u8` is not the contents of a resource",
    ),
    (
        "declared_tool_without_doc_comment",
        "struct App; impl App { async fn h(&self) {} }
        tools! { mod t for App { async fn h(); } } // here",
        "tool `h` needs a doc comment: it is the description that the model reads",
    ),
    (
        "declared_tool_with_an_unknown_attribute",
        "struct App; impl App { async fn h(&self) {} }
        tools! { mod t for App { /** H */ #[readonly] async fn h(); } } // here",
        "unknown attribute `#[readonly]` of a tool; there are: doc comments",
    ),
    (
        "declared_tool_with_a_whole_signature",
        "struct App; impl App { async fn h(&self, _: Args) {} }
        tools! { mod t for App { /** H */ async fn h(&self, args: Args); } } // here",
        "tool `h` is declared by the types of its parameters",
    ),
    (
        "declared_tool_that_is_missing",
        "struct App;
        tools! { mod t for App {
            /// H
            async fn missing(); // here
        } }",
        "no method named `missing` found",
    ),
    (
        "declared_tool_with_other_arguments",
        "struct App; impl App { async fn h(&self, _: u8) {} }
        tools! { mod t for App { /** H */ async fn h(Args); } } // here",
        "mismatched types: expected `u8`, found `Args`",
    ),
    (
        "declared_tool_with_a_result_that_is_none",
        "struct App; impl App { async fn h(&self) -> Option<App> { None } }
        tools! { mod t for App { /** H */ async fn h(); } } // here",
        "`App` is not a result of a tool",
    ),
    (
        "declared_tool_that_is_blocking_and_async",
        "struct App; impl App { async fn h(&self) {} }
        tools! { mod t for App { /** H */ #[blocking] async fn h(); } } // here",
        "a method with `#[blocking]` is not async",
    ),
    (
        "declaration_without_a_module",
        "struct App;
        tools! { App { /** H */ async fn h(); } } // here",
        "expected `tools! { pub mod tools for App",
    ),
];

const FRONT: &str = "#![allow(unused, private_interfaces)]
use attache_host::prelude::*;
use attache_host::schemars::JsonSchema;
use attache_host::serde::Deserialize;
#[derive(Deserialize, JsonSchema)]
#[serde(crate = \"attache_host::serde\")]
#[schemars(crate = \"attache_host::schemars\")]
struct Args { a: u8 }
";

/// A source without a mistake, which must compile.
const SOUND: &str = "struct App; impl App { async fn h(&self, args: Args) -> u8 { args.a } }
tools! { mod t for App { /** H */ async fn h(Args); } }
fn f(server: ServerBuilder) -> ServerBuilder {
    server.tool(\"a\", \"d\", async |args: Args, _: Ctx| args.a)
}";

/// The newest build of the library: the one that these tests were just linked with, or a later one.
fn library(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file").path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libattache_host-") && name.ends_with(".rlib")
    };
    let built = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).expect("a time");
    files.filter(is_library).max_by_key(built).expect("the library")
}

/// Checks a source, and returns what the compiler says, or `None` if it compiles.
fn check(library: &Path, place: &Path, source: &str) -> Option<String> {
    fs::write(place, source).expect("it is written");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let checked = Command::new(compiler)
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--error-format", "short"])
        .arg("--extern")
        .arg(format!("attache_host={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", library.parent().expect("a directory").display()))
        .arg("--out-dir")
        .arg(place.parent().expect("a directory"))
        .arg(place)
        .output()
        .expect("the compiler runs");
    (!checked.status.success()).then(|| String::from_utf8_lossy(&checked.stderr).into_owned())
}

#[test]
fn usual_mistakes_in_handlers_do_not_compile_and_the_message_names_the_line_and_says_what_to_write() {
    let test = env::current_exe().expect("a path");
    let library = library(test.parent().expect("a directory"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("handler_mistakes");
    fs::create_dir_all(&directory).expect("a directory");
    let sound = check(&library, &directory.join("sound.rs"), &format!("{FRONT}{SOUND}"));
    assert_eq!(sound, None);
    let mut faults = Vec::new();
    for (name, mistake, words) in MISTAKES {
        let source = format!("{FRONT}{mistake}");
        let line = source.lines().position(|line| line.ends_with("// here")).expect("a marked line") + 1;
        let place = directory.join(name).with_extension("rs");
        let said = check(&library, &place, &source).unwrap_or_default();
        let at = format!("{}:{line}:", place.display());
        if !said.lines().any(|said| said.starts_with(&at) && said.contains(words)) {
            faults.push(format!("{name}: no {words:?} at line {line} in:\n{said}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
