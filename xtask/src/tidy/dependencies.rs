use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use super::{TextFile, Violation};
use crate::cargo::cargo;

/// What the domain must be free of, at any depth: I/O, async runtimes, serialisation, databases, the web.
const NOT_IN_THE_DOMAIN: [&str; 9] =
    ["serde", "serde_json", "tokio", "sea-orm", "sqlx", "actix-web", "reqwest", "redis", "rdkafka"];

const DOMAIN: &str = "jangteo-domain";
const TESTKIT: &str = "jangteo-testkit";

/// The dependency rule, and how manifests are written.
pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("cargo metadata")?;
    let mut violations = Vec::new();
    for package in metadata.workspace_packages() {
        let path = package.manifest_path.strip_prefix(&metadata.workspace_root)?.to_string();
        let manifest = TextFile { path, text: fs::read_to_string(&package.manifest_path)? };
        violations.extend(check_layer(package, &manifest));
        violations.extend(check_manifest(&manifest));
        if package.name == DOMAIN {
            violations.extend(check_tree(&tree_of_the_domain()?, &manifest));
        }
    }
    Ok(violations)
}

/// Which of our crates a crate may depend on.
#[derive(Clone, Copy)]
enum Inwards {
    Only(&'static [&'static str]),
    /// The outermost crates, which wire the others together.
    Any,
}

/// Arrows point inwards: interface -> infra-* -> application -> domain.
fn layer(name: &str) -> Option<Inwards> {
    Some(match name {
        DOMAIN | "jangteo-migrations" | TESTKIT | "xtask" => Inwards::Only(&[]),
        "jangteo-application" => Inwards::Only(&[DOMAIN]),
        "jangteo-infra-database" => Inwards::Only(&[DOMAIN, "jangteo-application", "jangteo-migrations"]),
        _ if name.starts_with("jangteo-infra-") => Inwards::Only(&[DOMAIN, "jangteo-application"]),
        "jangteo" | "jangteo-loadtest" => Inwards::Any,
        _ => return None,
    })
}

fn check_layer(package: &Package, manifest: &TextFile) -> Vec<Violation> {
    if layer(&package.name).is_none() {
        return vec![
            manifest.violation(1, format!("{} has no layer yet: add it to `xtask tidy`", package.name)),
        ];
    }
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|dependency| !may_depend(&package.name, &dependency.name, dependency.kind))
        .map(|dependency| {
            let line = line_of(manifest, &dependency.name);
            manifest.violation(line, format!("{} must not depend on {}", package.name, dependency.name))
        })
        .collect()
}

fn may_depend(name: &str, dependency: &str, kind: DependencyKind) -> bool {
    let ours = dependency == "jangteo" || dependency.starts_with("jangteo-");
    let for_tests = kind == DependencyKind::Development && dependency == TESTKIT && name != DOMAIN;
    match layer(name) {
        Some(Inwards::Only(allowed)) => !ours || for_tests || allowed.contains(&dependency),
        Some(Inwards::Any) | None => true,
    }
}

/// The line that names the dependency. Not found (a target-specific table, say), the first.
fn line_of(manifest: &TextFile, dependency: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    manifest.lines().find(|(_, line)| names(line)).map_or(1, |(number, _)| number)
}

/// Asked of `cargo tree` for this one crate: `cargo metadata` has the features that all crates together switch on,
/// and so finds serde below chrono as soon as any crate wants it there.
fn tree_of_the_domain() -> Result<String> {
    let arguments = ["tree", "--package", DOMAIN, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = cargo(arguments).output().context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn check_tree(tree: &str, manifest: &TextFile) -> Vec<Violation> {
    let crates = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = crates.filter(|name| NOT_IN_THE_DOMAIN.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    let message =
        |name| format!("the domain must be free of {name}; `cargo tree -i {name}` shows the way in");
    found.into_iter().map(|name| manifest.violation(line_of(manifest, name), message(name))).collect()
}

/// Versions and lints stand once, in the workspace's manifest. Read line by line, as a parser tells no lines.
fn check_manifest(manifest: &TextFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut table = "";
    let mut has_lints = false;
    for (number, line) in manifest.lines() {
        if line.starts_with('[') {
            table = line.trim();
            if table.contains("dependencies.") {
                violations
                    .push(manifest.violation(number, "a dependency is one line with `workspace = true`"));
            }
        } else if table == "[lints]" {
            has_lints |= line.trim() == "workspace = true";
        } else if table.ends_with("dependencies]")
            && line.starts_with(|first: char| first.is_ascii_alphanumeric())
            && !line.contains("workspace = true")
        {
            violations
                .push(manifest.violation(number, "take the version from the workspace: `workspace = true`"));
        }
    }
    if !has_lints {
        violations.push(
            manifest.violation(1, "the workspace's lints are missing: `[lints]` with `workspace = true`"),
        );
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> TextFile {
        TextFile { path: "Cargo.toml".to_owned(), text: text.to_owned() }
    }

    fn lines(violations: &[Violation]) -> Vec<usize> {
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn arrows_point_inwards() {
        let normal = |name, dependency| may_depend(name, dependency, DependencyKind::Normal);
        assert!(normal("jangteo-application", "jangteo-domain"));
        assert!(normal("jangteo-infra-database", "jangteo-migrations"));
        assert!(normal("jangteo", "jangteo-infra-memory"));
        assert!(normal("jangteo-domain", "chrono"));

        assert!(!normal("jangteo-domain", "jangteo-application"));
        assert!(!normal("jangteo-application", "jangteo-infra-memory"));
        assert!(!normal("jangteo-infra-memory", "jangteo-infra-database"));
        assert!(!normal("jangteo-infra-memory", "jangteo-migrations"));
        assert!(!normal("jangteo-infra-memory", "jangteo"));
    }

    #[test]
    fn testkit_is_for_tests_and_not_for_those_of_the_domain() {
        let development = |name, dependency| may_depend(name, dependency, DependencyKind::Development);
        assert!(development("jangteo-infra-database", TESTKIT));
        assert!(!may_depend("jangteo-infra-database", TESTKIT, DependencyKind::Normal));
        assert!(!development("jangteo-domain", TESTKIT));
        assert!(!development("jangteo-application", "jangteo-infra-database"));
    }

    #[test]
    fn the_domain_has_no_io_at_any_depth() {
        let manifest = manifest("[dependencies]\nchrono.workspace = true\ntokio.workspace = true\n");
        let tree = "jangteo-domain v0.1.0 (path)\nchrono v0.4.45\ntokio v1.54.1\nserde_core v1.0.0\nserde v1.0.0 (*)\n";
        let violations = check_tree(tree, &manifest);
        assert_eq!(lines(&violations), [1, 3]);
        assert!(violations[0].message.contains("serde") && violations[1].message.contains("tokio"));
    }

    #[test]
    fn versions_and_lints_come_from_the_workspace() {
        let good = "[lints]\nworkspace = true\n\n[dependencies]\nserde.workspace = true\n\
                    tokio = { workspace = true, features = [\n  \"fs\",\n] }\n";
        assert!(check_manifest(&manifest(good)).is_empty());

        let bad = "[dependencies]\nserde = \"1\"\n[dev-dependencies.tokio]\nversion = \"1\"\n";
        assert_eq!(lines(&check_manifest(&manifest(bad))), [2, 3, 1]);
    }
}
