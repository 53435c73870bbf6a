//! `attache package`: what a package has and leaves out, and apps that run from it.

use crate::functions::{Directory, Running, libraries};
use crate::running::attache;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

const CODE: &str = r#"
import azure.functions as func
app = func.FunctionApp()

@app.mcp_tool()
def hello() -> str:
    return "hello from the package"
"#;

/// An app with what a package must not have.
fn app(name: &str) -> Option<Directory> {
    let digest = "0123456789abcdef".repeat(4);
    let entry = format!("ops {digest}\n");
    let files = [
        ("host.json", r#"{"version": "2.0"}"#),
        ("function_app.py", CODE),
        ("requirements.txt", "azure-functions\n"),
        ("shared/text.txt", "text"),
        ("scripts/run.sh", "#!/bin/sh\n"),
        ("local.settings.json", r#"{"Values": {"FUNCTIONS_WORKER_RUNTIME": "python", "API_KEY": "hidden-value"}}"#),
        (".env", "A=hidden-value"),
        (".env.production", "A=hidden-value"),
        (".git/config", "hidden-value"),
        ("tls/server.pem", "-----BEGIN PRIVATE KEY-----\nhidden-value"),
        ("tls/server.key", "hidden-value"),
        ("keys", entry.as_str()),
        ("notes/draft.md", "hidden-value"),
        ("notes/keep.md", "kept"),
        (".funcignore", "notes/*\n!notes/keep.md\n.funcignore\n*.log\n!local.settings.json\n"),
        ("debug.log", "hidden-value"),
    ];
    let app = Directory::with(name, &files)?;
    fs::set_permissions(app.0.join("scripts/run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    symlink("/etc/passwd", app.0.join("accounts")).expect("linked");
    Some(app)
}

/// Runs the command, and returns what it prints.
fn package(arguments: &[&str]) -> String {
    let run = attache(&[&["package"], arguments].concat()).output().expect("it runs");
    let said = String::from_utf8(run.stdout).expect("UTF-8");
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    said
}

const TAKEN: [&str; 6] =
    ["function_app.py", "host.json", "notes/keep.md", "requirements.txt", "scripts/run.sh", "shared/text.txt"];

/// Unpacks a zip with the library of Python, and returns its entries: name and mode.
fn unzip(zip: &Path, to: &Path) -> Vec<(String, u32)> {
    let script = "import json, os, sys, zipfile\n\
                  archive = zipfile.ZipFile(sys.argv[1])\n\
                  assert archive.testzip() is None\n\
                  archive.extractall(sys.argv[2])\n\
                  modes = [(entry.filename, entry.external_attr >> 16) for entry in archive.infolist()]\n\
                  for name, mode in modes:\n    os.chmod(os.path.join(sys.argv[2], name), mode & 0o777)\n\
                  print(json.dumps(modes))";
    let run = Command::new("python3").args(["-c", script]).arg(zip).arg(to).output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("JSON")
}

#[test]
fn zip_has_the_files_of_the_app_and_none_of_its_secrets() {
    let Some(app) = app("zip") else { return };
    let zips = ["one.zip", "two.zip"].map(|name| app.0.with_extension(name));
    let said = zips.each_ref().map(|zip| package(&["functions", app.path(), "--output", zip.to_str().expect("UTF-8")]));
    let [first, second] = zips.each_ref().map(|zip| fs::read(zip).expect("it is there"));
    assert!(first == second, "the same files give the same bytes");
    let unpacked = app.0.join("unpacked");
    let entries = unzip(&zips[0], &unpacked);
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, TAKEN);
    for (name, mode) in &entries {
        assert_eq!(*mode, if name == "scripts/run.sh" { 0o100_755 } else { 0o100_644 }, "{name}");
        assert_eq!(
            fs::read(unpacked.join(name)).expect("unpacked"),
            fs::read(app.0.join(name)).expect("there"),
            "{name}"
        );
    }
    let [said, _] = said;
    assert!(!said.contains("hidden-value"), "values of settings are not printed: {said}");
    for words in [
        "Taken: 6 files",
        "local.settings.json: settings of this machine",
        ".env.production: may be secret",
        ".git/: the history",
        "tls/server.pem: it has a private key",
        "tls/server.key: a file of keys",
        "keys: a file of keys",
        "notes/draft.md: named in .funcignore",
        ".venv/: a link that leads outside",
        "accounts: a link that leads outside",
        "WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES",
        "API_KEY=",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // What was unpacked is an app that runs.
    symlink(libraries().expect("checked above").join("venv"), unpacked.join(".venv")).expect("linked");
    let unpacked = Directory(unpacked);
    assert_eq!(Running::start(&unpacked).text("hello", json!({})), "hello from the package");
    zips.iter().for_each(|zip| drop(fs::remove_file(zip)));
}

#[test]
fn handler_is_executable_in_the_zip_and_its_settings_are_named() {
    let host = r#"{"version": "2.0", "configurationProfile": "mcp-custom-handler",
        "customHandler": {"description": {"defaultExecutablePath": "handler"}}}"#;
    let files = [("host.json", host), ("handler", "#!/bin/sh\n"), ("requirements.txt", "mcp\n")];
    let Some(app) = Directory::with("zip-handler", &files) else { return };
    let zip = app.0.with_extension("zip");
    let said = package(&["functions", app.path(), "-o", zip.to_str().expect("UTF-8")]);
    let entries = unzip(&zip, &app.0.join("unpacked"));
    assert!(entries.contains(&("handler".to_owned(), 0o100_755)), "{entries:?}");
    for words in
        ["AzureWebJobsFeatureFlags=EnableMcpCustomHandlerPreview", "PYTHONPATH=/home/site/wwwroot/.python_packages"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    fs::remove_file(app.0.join("handler")).expect("removed");
    let run =
        attache(&["package", "functions", app.path(), "-o", zip.to_str().expect("UTF-8")]).output().expect("it runs");
    let warned = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && warned.contains("the package has no handler"), "{warned}");
    let _ = fs::remove_file(zip);
}

#[test]
fn directory_that_cannot_be_packaged_is_refused_with_the_reason() {
    for (name, files, words) in [
        ("package-none", &[("a.txt", "")][..], "host.json: is missing"),
        ("package-language", &[("host.json", "{}")], "the language of the app is unknown"),
        (
            "package-pattern",
            &[("host.json", "{}"), ("function_app.py", ""), (".funcignore", "[b-a]\n")],
            ".funcignore: the pattern \"[b-a]\"",
        ),
    ] {
        let Some(app) = Directory::with(name, files) else { return };
        let run = attache(&["package", "functions", app.path(), "-o", "/dev/null/x.zip"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && said.contains(words), "{words}: {said}");
    }
    let java = [("host.json", "{}"), ("local.settings.json", r#"{"Values": {"FUNCTIONS_WORKER_RUNTIME": "java"}}"#)];
    let Some(app) = Directory::with("package-java", &java) else { return };
    let run = attache(&["package", "container", app.path()]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("worker of the platform"), "{said}");
}

/// A root directory with an interpreter, its libraries, and the parts of a container context where the Containerfile
/// puts them.
struct Root(std::path::PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command that must succeed, and returns its output.
fn run(command: &mut Command) -> String {
    let run = command.output().expect("it runs");
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("UTF-8")
}

impl Root {
    fn new(name: &str) -> Self {
        let root = Self(std::env::temp_dir().join(format!("attache-root-{name}-{}", std::process::id())));
        let _ = fs::remove_dir_all(&root.0);
        fs::create_dir_all(root.0.join("tmp")).expect("made");
        fs::set_permissions(root.0.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("set");
        root
    }

    /// Copies a file or directory of this machine to the same place, with links followed.
    fn copy(&self, path: &str) {
        let to = self.0.join(path.trim_start_matches('/'));
        if !to.exists() {
            fs::create_dir_all(to.parent().expect("a parent")).expect("made");
            run(Command::new("cp").args(["-rL", path]).arg(&to));
        }
    }

    /// Copies a program to this place, and its libraries to theirs.
    fn program(&self, program: &Path, to: &str) {
        let to = self.0.join(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("made");
        fs::copy(program, &to).expect("copied");
        let listed = Command::new("ldd").arg(program).output().expect("it runs").stdout;
        let listed = String::from_utf8(listed).expect("UTF-8");
        listed.split_whitespace().filter(|word| word.starts_with('/')).for_each(|library| self.copy(library));
    }

    /// Puts the app and the program of a container context where its Containerfile puts them.
    fn of_context(name: &str, context: &Path) -> Self {
        let root = Self::new(name);
        root.program(&context.join("attache"), "usr/local/bin/attache");
        run(Command::new("cp").arg("-r").arg(context.join("app")).arg(root.0.join("app")));
        root
    }

    fn python(&self, libraries: &Path) {
        let facts = "import json, os, sys, sysconfig\n\
                     print(json.dumps([os.path.realpath(sys.executable), sysconfig.get_path('stdlib')]))";
        let facts = run(Command::new(libraries.join("venv/bin/python")).args(["-c", facts]));
        let [program, library]: [String; 2] = serde_json::from_str(&facts).expect("JSON");
        self.program(Path::new(&program), program.trim_start_matches('/'));
        let script = r#"mkdir -p "$2" && cd "$1" && tar cf - --dereference --exclude=test --exclude=__pycache__ --exclude='*.a' --exclude=site-packages . | tar xf - -C "$2""#;
        let to = self.0.join(library.trim_start_matches('/'));
        run(Command::new("sh").args(["-c", script, "sh", &library]).arg(to));
        let modules = Path::new(&library).join("lib-dynload");
        for module in fs::read_dir(modules).into_iter().flatten().flatten() {
            let listed = Command::new("ldd").arg(module.path()).output().expect("it runs").stdout;
            let listed = String::from_utf8_lossy(&listed).into_owned();
            listed.split_whitespace().filter(|word| word.starts_with('/')).for_each(|library| self.copy(library));
        }
        let bin = self.0.join("usr/bin/python3");
        fs::create_dir_all(bin.parent().expect("a parent")).expect("made");
        if !bin.exists() {
            symlink(&program, bin).expect("linked");
        }
        let site = Path::new(&library).file_name().expect("a name");
        let packages = libraries.join("venv/lib").join(site).join("site-packages");
        let to = self.0.join("app/.python_packages/lib/site-packages");
        fs::create_dir_all(&to).expect("made");
        run(Command::new("cp").arg("-r").arg(packages.join(".")).arg(to));
    }

    fn node(&self, libraries: &Path) {
        let node = run(Command::new("node").args(["-p", "process.execPath"]));
        self.program(Path::new(node.trim()), "usr/bin/node");
        run(Command::new("cp").arg("-r").arg(libraries.join("node_modules")).arg(self.0.join("app/node_modules")));
    }

    /// Runs the entry point of the Containerfile in this root, as another user, and calls a tool from inside.
    fn call(&self, tool: &str) -> String {
        let chroot = |arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", READ_ONLY]).arg(&self.0).args(arguments);
            command.env_clear().envs([("HOME", "/tmp"), ("ATTACHE_LISTEN", "127.0.0.1:0")]);
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
            command
        };
        let mut command = chroot(&["/usr/local/bin/attache", "functions", "/app"]);
        let server = Running::of(&mut command);
        run(&mut chroot(&["/usr/local/bin/attache", "call", &server.url, tool, "{}"])).trim().to_owned()
    }
}

/// Runs a command as another user in the root `$0`, of which only /tmp can be written.
const READ_ONLY: &str = r#"
mkdir -p "$0/proc" "$0/dev" && mount --bind "$0" "$0" && mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" &&
mount -t tmpfs -o mode=1777 tmpfs "$0/tmp" && mount -o remount,ro,bind "$0" && exec chroot --userspec=65534:65534 "$0" "$@"
"#;

const NODE: &[(&str, &str)] = &[
    ("host.json", "{}"),
    ("package.json", r#"{"main": "index.js", "dependencies": {"@azure/functions": "4"}}"#),
    (
        "index.js",
        "const { app } = require('@azure/functions');\n\
         app.mcpTool('hello', { toolName: 'hello', description: 'Hello', toolProperties: {}, handler: () => 'hello from the package' });\n",
    ),
];

#[test]
fn container_context_runs_as_another_user_in_a_root_of_its_own() {
    // Only root may make such a root.
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success()) {
        return;
    }
    let Some(libraries) = libraries() else { return };
    let (Some(python), Some(node)) = (app("container-python"), Directory::with("container-node", NODE)) else { return };
    for (language, app) in [("python", python), ("node", node)] {
        let context = app.0.with_extension("context");
        let _ = fs::remove_dir_all(&context);
        let said = package(&["container", app.path(), "--output", context.to_str().expect("UTF-8")]);
        assert!(said.contains("podman build") && said.contains("mcp_extension"), "{said}");
        let containerfile = fs::read_to_string(context.join("Containerfile")).expect("written");
        let base = if language == "python" { "docker.io/library/python:3." } else { "docker.io/library/node:" };
        for words in [base, "USER 65534:65534", "ENTRYPOINT", "COPY app /app"] {
            assert!(containerfile.contains(words), "{words}: {containerfile}");
        }
        let found =
            Command::new("grep").args(["-rl", "hidden-value", "."]).current_dir(&context).output().expect("it runs");
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{language}");
        let root = Root::of_context(language, &context);
        match language {
            "python" => root.python(&libraries),
            _ => root.node(&libraries),
        }
        assert_eq!(root.call("hello"), "hello from the package", "{language}");
        let _ = fs::remove_dir_all(&context);
    }
}

#[test]
fn containerfile_has_the_version_of_the_app_and_the_steps_that_install_its_packages() {
    let of = |name: &str, files: &[(&str, &str)]| -> Option<String> {
        let app = Directory::with(name, files)?;
        let context = app.0.with_extension("context");
        let _ = fs::remove_dir_all(&context);
        package(&["container", app.path(), "--output", context.to_str().expect("UTF-8")]);
        let text = fs::read_to_string(context.join("Containerfile")).expect("written");
        let _ = fs::remove_dir_all(&context);
        Some(text)
    };
    let host = ("host.json", r#"{"extensions": {"mcp": {"system": {"webhookAuthorizationLevel": "Anonymous"}}}}"#);
    let config: Value = json!({"runtimeOptions": {"tfm": "net9.0"}});
    let config = config.to_string();
    for (name, files, words) in [
        ("cf-pip", vec![host, ("function_app.py", ""), ("requirements.txt", "")], "pip install"),
        ("cf-npm", vec![host, ("package.json", "{}"), ("package-lock.json", "{}")], "npm ci --omit=dev"),
        ("cf-npm-no-lock", vec![host, ("package.json", "{}")], "npm install --omit=dev"),
        (
            "cf-dotnet",
            vec![host, ("worker.config.json", "{}"), ("App.runtimeconfig.json", config.as_str())],
            "aspnet:9.0",
        ),
        (
            "cf-handler",
            vec![("host.json", r#"{"customHandler": {"description": {"defaultExecutablePath": "h"}}}"#), ("h", "")],
            "debian:stable-slim",
        ),
    ] {
        let Some(text) = of(name, &files) else { return };
        assert!(text.contains(words), "{name}: {text}");
    }
}
