use std::path::Path;

use super::{TextFile, Violation};

const LONGEST_RUST_FILE: usize = 700;

/// Names that say where code was put and not what it is.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "helper", "common"];

/// Put together here so that this file does not break its own rule.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/root", "/"), concat!("/work", "/"), concat!("/home", "/"), concat!("/Users", "/")];

/// Names and contents of one file.
pub(super) fn check(file: &TextFile) -> Vec<Violation> {
    let mut violations = check_machine_paths(file);
    if file.path.ends_with(".rs") {
        violations.extend(check_name(file));
        violations.extend(check_rust(file));
    }
    violations
}

fn check_name(file: &TextFile) -> Option<Violation> {
    let path = Path::new(&file.path).with_extension("");
    if path.ends_with("mod") {
        return Some(file.violation(1, "a module `foo` is `foo.rs`, never `foo/mod.rs`"));
    }
    let empty = path.iter().filter_map(|part| part.to_str()).find(|part| EMPTY_NAMES.contains(part))?;
    Some(file.violation(1, format!("`{empty}` says nothing: name the file after what it defines")))
}

fn check_rust(file: &TextFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, line) in file.lines() {
        let line = line.trim_start();
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            violations
                .push(file.violation(number, "`#[expect(…, reason = \"…\")]` instead of `#[allow(…)]`"));
        }
        if let Some(name) = module_name(line).filter(|name| EMPTY_NAMES.contains(name)) {
            violations.push(
                file.violation(number, format!("`{name}` says nothing: name the module after what it holds")),
            );
        }
    }
    let length = file.text.lines().count();
    if length > LONGEST_RUST_FILE {
        violations.push(file.violation(length, format!("{length} lines; the limit is {LONGEST_RUST_FILE}")));
    }
    violations
}

/// The name in `mod name;` or `mod name {`, whatever its visibility.
fn module_name(line: &str) -> Option<&str> {
    let (visibility, rest) = line.split_once("mod ")?;
    let is_item = visibility.is_empty() || visibility.starts_with("pub");
    is_item.then(|| rest.trim_end_matches([';', '{', ' ']))
}

/// A path that exists on one machine only. Within a longer path or a URL the same letters are fine.
fn check_machine_paths(file: &TextFile) -> Vec<Violation> {
    let begins_path = |line: &str, at: usize| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "/.-_~}".contains(before))
    };
    let found = file.lines().flat_map(|(number, line)| {
        MACHINE_PATHS
            .into_iter()
            .filter(move |path| line.match_indices(path).any(|(at, _)| begins_path(line, at)))
            .map(move |path| (number, path))
    });
    found.map(|(number, path)| file.violation(number, format!("a path of one machine: {path}…"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        check(&file).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_is_named_after_what_it_defines() {
        assert!(check_text("crates/domain/src/wallet.rs", "mod tests {").is_empty());
        for path in ["src/wallet/mod.rs", "src/utils.rs", "src/common/clock.rs", "tests/helpers.rs"] {
            assert_eq!(check_text(path, "").len(), 1, "{path}");
        }
        for line in ["mod utils;", "pub(crate) mod helpers {", "    pub mod common;"] {
            assert_eq!(check_text("src/lib.rs", line).len(), 1, "{line}");
        }
        assert!(check_text("src/lib.rs", "mod commons;\n// a mod utils in prose").is_empty());
    }

    #[test]
    fn a_lint_is_expected_with_a_reason_and_not_allowed() {
        assert_eq!(
            check_text("src/lib.rs", "\n  #[allow(dead_code)]\n"),
            ["src/lib.rs:2: `#[expect(…, reason = \"…\")]` instead of `#[allow(…)]`"]
        );
        assert!(check_text("src/lib.rs", "// `#[allow(dead_code)]`").is_empty());
    }

    #[test]
    fn a_rust_file_has_an_end() {
        assert!(check_text("src/lib.rs", &"\n".repeat(700)).is_empty());
        assert_eq!(check_text("src/lib.rs", &"\n".repeat(701)).len(), 1);
        assert!(check_text("README.md", &"\n".repeat(701)).is_empty());
    }

    #[test]
    fn no_path_of_one_machine() {
        let root = MACHINE_PATHS[0];
        for line in [format!("see {root}notes"), format!("\"{root}x\""), format!("({root})"), root.to_owned()]
        {
            assert_eq!(check_text("README.md", &line).len(), 1, "{line}");
        }
        for line in
            [format!("https://example.com{root}x"), format!("docs{root}x"), format!("${{HOME}}{root}")]
        {
            assert!(check_text("README.md", &line).is_empty(), "{line}");
        }
    }
}
