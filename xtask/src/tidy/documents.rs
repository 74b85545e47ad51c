use std::path::{Component, Path, PathBuf};

use super::{TextFile, Violation};

const READMES: [&str; 2] = ["README.md", "README.ko.md"];

/// Says of each requirement which tests prove it.
const REQUIREMENTS: &str = "docs/requirements.md";

/// Relative links in a Markdown file lead somewhere.
pub(super) fn check(file: &TextFile, exists: impl Fn(&Path) -> bool) -> Vec<Violation> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    for (number, line) in prose(file) {
        for link in links(line).filter(|link| is_relative(link)) {
            let target = link.split(['#', '?']).next().unwrap_or_default();
            // A leading slash is the repository's top, as on the pages that show these files.
            let path = match target.strip_prefix('/') {
                Some(from_top) => normal(Path::new(from_top)),
                None => normal(&folder.join(target)),
            };
            if !path.is_some_and(|path| exists(&path)) {
                violations.push(file.violation(number, format!("broken link: {link}")));
            }
        }
    }
    violations
}

/// Both languages are there and tell the same story, as far as headings tell.
pub(super) fn check_readmes(files: &[TextFile]) -> Vec<Violation> {
    let headings = READMES.map(|name| {
        let file = files.iter().find(|file| file.path == name)?;
        Some(prose(file).filter(|(_, line)| line.starts_with("## ")).count())
    });
    let violation = |name: &str, message: String| Violation { file: name.to_owned(), line: 1, message };
    match headings {
        [Some(english), Some(korean)] if english != korean => {
            let message = format!("{korean} headings, where {} has {english}", READMES[0]);
            vec![violation(READMES[1], message)]
        }
        _ => {
            let missing = READMES.into_iter().zip(headings).filter(|(_, headings)| headings.is_none());
            missing.map(|(name, _)| violation(name, "is missing".to_owned())).collect()
        }
    }
}

/// Every test that is to prove a requirement is there.
pub(super) fn check_proofs(files: &[TextFile]) -> Vec<Violation> {
    let Some(requirements) = files.iter().find(|file| file.path == REQUIREMENTS) else { return Vec::new() };
    let mut violations = Vec::new();
    for (number, line) in requirements.lines() {
        for (module, test) in proofs(line) {
            if !files.iter().any(|file| defines(file, module, test)) {
                violations.push(requirements.violation(number, format!("no such test: {module}::{test}")));
            }
        }
    }
    violations
}

/// What stands as `folder/module::test` in code.
fn proofs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let code = line.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split_once("::")).filter(|(module, _)| module.contains('/'))
}

/// Whether the file is the module, which is named by the end of its path, and has the function.
fn defines(file: &TextFile, module: &str, function: &str) -> bool {
    format!("/{}", file.path).ends_with(&format!("/{module}.rs"))
        && file.text.contains(&format!("fn {function}("))
}

/// The lines outside fenced code.
fn prose(file: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)`, `![alt](target)` and `[reference]: target`, those in `code` left out.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    let inline =
        line.match_indices("](").filter(|(at, _)| line[..*at].matches('`').count().is_multiple_of(2));
    let inline = inline.filter_map(|(at, opening)| line[at + opening.len()..].split(')').next());
    // A title may follow the target.
    reference.into_iter().chain(inline).filter_map(|target| target.split_whitespace().next())
}

fn is_relative(link: &str) -> bool {
    !link.starts_with('#') && !link.contains("://") && !link.starts_with("mailto:")
}

/// Resolves `..`. None if it leads out of the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => normal.pop().then_some(())?,
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn broken(path: &str, text: &str) -> Vec<usize> {
        let there = ["README.md", "docs/events.md", "docs/images/flow.svg"];
        let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
        check(&markdown(path, text), exists).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn relative_links_resolve() {
        let good = "[events](docs/events.md#order) and ![flow](./docs/images/flow.svg \"flow\")\n[e]: docs/events.md";
        assert!(broken("README.md", good).is_empty());
        assert!(broken("docs/events.md", "[up](../README.md) [top](/README.md) [here](#here)").is_empty());

        assert_eq!(broken("README.md", "[a](docs/events.md) [b](missing.md)\n\n[c]: missing.md"), [1, 3]);
        assert_eq!(broken("docs/events.md", "[out](../../README.md)"), [1]);
    }

    #[test]
    fn links_elsewhere_and_in_code_are_not_followed() {
        let text = "[web](https://example.com/x) [mail](mailto:a@example.com) `[code](missing.md)`\n\
                    ```\n[code](missing.md)\n```\n";
        assert!(broken("README.md", text).is_empty());
        assert!(broken("src/lib.rs", "[a](missing.md)").is_empty());
    }

    #[test]
    fn both_readmes_have_the_same_headings() {
        let english = || markdown("README.md", "## Start\n## Run\n```sh\n## a comment\n```\n");
        assert!(check_readmes(&[english(), markdown("README.ko.md", "## 시작\n## 실행\n")]).is_empty());

        let violations = check_readmes(&[english(), markdown("README.ko.md", "## 시작\n")]);
        assert_eq!(violations[0].to_string(), "README.ko.md:1: 1 headings, where README.md has 2");

        let violations = check_readmes(&[english()]);
        assert_eq!(violations[0].to_string(), "README.ko.md:1: is missing");
    }
    #[test]
    fn what_proves_a_requirement_is_there() {
        let missing = |text: &str| {
            let code =
                markdown("crates/shop/tests/http/cart.rs", "async fn a_cart_is_ordered(shop: &Shop) {}");
            let violations = check_proofs(&[markdown(REQUIREMENTS, text), code]);
            violations.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(missing("| `Cart::MAX_LINES` | `http/cart::a_cart_is_ordered` |").is_empty());
        assert!(missing("| of 3 lines | `shop/tests/http/cart::a_cart_is_ordered`<br>`cart/a` |").is_empty());
        assert_eq!(
            missing("\n`http/cart::a_cart`, `tp/cart::a_cart_is_ordered`"),
            [
                "docs/requirements.md:2: no such test: http/cart::a_cart",
                "docs/requirements.md:2: no such test: tp/cart::a_cart_is_ordered",
            ]
        );
        assert!(check_proofs(&[markdown("README.md", "`http/cart::a_cart`")]).is_empty());
    }
}
