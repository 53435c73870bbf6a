//! The compiler's messages for common mistakes in declarations: each names the faulty item, and
//! says what to write.

use std::process::Command;
use std::{env, fs};

/// A mistake, and words that the message must contain.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "type_that_is_no_argument",
        "pub struct Colour; args! { pub struct Paint { /** its colour */ colour: Colour } }",
        "`Colour` is not a type of arguments",
    ),
    (
        "argument_without_doc_comment",
        "args! { pub struct Paint { /** its level */ level: u8, colour: u8 } }",
        "member `colour` needs a doc comment: the model reads it as the description",
    ),
    (
        "unknown_attribute_of_an_argument",
        "args! { pub struct Paint { /** its level */ #[rename = \"x\"] level: u8 } }",
        "unknown attribute `#[rename = \"x\"]` of a member",
    ),
    (
        "attribute_before_the_doc_comment",
        "args! { pub struct Paint { #[name = \"x\"] /** its level */ level: u8 } }",
        "the doc comment of a member comes before `#[name = \"x\"]`",
    ),
    (
        "semicolon_between_arguments",
        "args! { pub struct Paint { /** its level */ level: u8; } }",
        "a comma goes behind `level`, not a semicolon",
    ),
    (
        "default_that_is_no_literal",
        "args! { pub struct Paint { /** its level */ level: u8 = 5 + 6, } }",
        "the default of `level` must be a literal",
    ),
    (
        "default_of_another_type",
        "args! { pub struct Paint { /** its level */ level: u8 = \"full\" } } tools! { pub mod t for App { /** Paint */ fn f(Paint); } }",
        "the default is not a value of this type",
    ),
    (
        "default_that_is_not_one_of_the_choices",
        "args! { pub enum Mode { Heat, Cool } } args! { pub struct Paint { /** its mode */ mode: Mode = \"cold\" } }
         pub const SCHEMA: &str = <Paint as attache_core::tool::Args<'static>>::SCHEMA;",
        "the default is not a value of this type",
    ),
    (
        "struct_with_a_type_parameter",
        "args! { pub struct Paint<T> { /** its level */ level: T } }",
        "may have one lifetime and no other",
    ),
    ("tuple_struct", "args! { pub struct Paint(u8); }", "give each member a name"),
    ("enum_with_fields", "args! { pub enum Mode { Heat(u8) } }", "has variants without fields"),
    (
        "tool_without_doc_comment",
        "tools! { pub mod t for App { fn f(Nothing); } }",
        "tool `f` needs a doc comment: it is the description that the model reads",
    ),
    (
        "unknown_hint",
        "tools! { pub mod t for App { /** F */ #[readonly] fn f(Nothing); } }",
        "unknown attribute `#[readonly]` of a tool; there are: doc comments",
    ),
    (
        "tool_without_a_type_of_arguments",
        "tools! { pub mod t for App { /** F */ fn f(); } }",
        "`f` needs a type of arguments: `fn f(Nothing);`",
    ),
    (
        "tool_with_a_whole_signature",
        "tools! { pub mod t for App { /** F */ fn f(&self, out: &mut Output<'_>); } }",
        "`f` is declared by its type of arguments alone",
    ),
    (
        "tool_with_something_else_behind_its_arguments",
        "tools! { pub mod t for App { /** F */ fn f(Nothing, Caller); } }",
        "`Caller` cannot follow the arguments of a tool; `Call` can",
    ),
    (
        "server_whose_name_has_a_quote",
        "static OFFERS: attache_core::tool::Tables<'static> = attache_core::tool::Tables::EMPTY;
         pub static SERVER: attache_core::mcp::Server<'static> = attache_core::mcp::Server::new(\"a \\\"\", \"1\", &OFFERS);",
        "a quote, a backslash or a control character must be escaped",
    ),
    (
        "table_that_is_no_module",
        "tools! { App { /** F */ fn f(Nothing); } }",
        "expected `tools! { pub mod tools for Board",
    ),
    (
        "arguments_that_are_no_args",
        "pub struct Paint; tools! { pub mod t for App { /** F */ fn f(Paint); } }",
        "`Paint` does not declare the arguments of a tool",
    ),
    (
        "result_that_is_no_result",
        "pub struct Paint; tools! { pub mod t for App { /** F */ fn g(Nothing) -> Paint; } }",
        "`Paint` is not a result of a tool",
    ),
    (
        "float_in_a_result",
        "attache_core::results! { pub struct Air { /** degrees */ celsius: f32 } }",
        "`f32` cannot be a member of a structured result",
    ),
    (
        "prompt_with_a_hint_of_tools",
        "attache_core::prompts! { pub mod p for App { /** P */ #[read_only] fn f(Nothing); } }",
        "unknown attribute `#[read_only]` of a prompt",
    ),
    (
        "method_that_is_missing",
        "tools! { pub mod t for App { /** H */ fn missing(Nothing); } }",
        "no method named `missing` found",
    ),
];

const FRONT: &str = "#![allow(unused_imports)]
use attache_core::tool::{Nothing, Output, ToolError, ToolResult};
use attache_core::{args, tools};
pub struct App;
impl App {
    pub fn f<T>(&self, _: T, _: &mut Output<'_>) -> ToolResult { Ok(()) }
    pub fn g<T, R>(&self, _: T, _: &mut Output<'_>) -> Result<R, ToolError> { Err(ToolError::Full) }
}
fn main() {}
";

#[test]
fn usual_mistakes_do_not_compile_and_the_message_says_what_to_write() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
    let examples = directory.join("examples");
    let _ = fs::remove_dir_all(&examples);
    fs::create_dir_all(&examples).expect("a directory");
    fs::create_dir_all(directory.join("src")).expect("a directory");
    fs::write(directory.join("src/lib.rs"), "").expect("it is written");
    let manifest = format!(
        "[workspace]\n[package]\nname = \"mistakes\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\nattache-core = {{ path = {root:?} }}\n",
        root = format!("{root}/core")
    );
    fs::write(directory.join("Cargo.toml"), manifest).expect("it is written");
    // Uses the versions of the workspace, so that cargo looks nothing up.
    fs::copy(format!("{root}/Cargo.lock"), directory.join("Cargo.lock")).expect("a lock file");
    for (name, mistake, _) in MISTAKES {
        fs::write(examples.join(name).with_extension("rs"), format!("{FRONT}{mistake}\n")).expect("it is written");
    }
    let check = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--keep-going", "--examples", "--message-format", "short", "--color", "never"])
        .current_dir(&directory)
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(!check.status.success(), "{said}");
    for (name, _, words) in MISTAKES {
        let place = format!("examples/{name}.rs:");
        let about: Vec<_> = said.lines().filter(|line| line.starts_with(&place)).collect();
        assert!(about.iter().any(|line| line.contains(words)), "{name}: {about:?} in:\n{said}");
    }
}
