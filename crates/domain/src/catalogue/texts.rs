//! The texts of the catalogue.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Why a text is not acceptable for a field of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not a line of text: empty, with a line break or another control character in it, or longer than so many characters.
    #[error("not a line of 1 to {longest} characters")]
    NotALine {
        /// The most characters.
        longest: usize,
    },
    /// Longer than so many characters.
    #[error("longer than {longest} characters")]
    TooLong {
        /// The most characters.
        longest: usize,
    },
    /// With characters in it that no text has.
    #[error("with control characters")]
    Control,
    /// Not the absolute address of something on the web.
    #[error("not an http or https address")]
    NotAnAddress,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text!(
    /// A product's name: a line of 1 to 200 characters, without surrounding white space.
    ProductName
);
text!(
    /// What tells the variants of a product apart: a line of 1 to 100 characters, without surrounding white space.
    VariantName
);
text!(
    /// What is told of a product: at most [`Description::LONGEST`] characters in any number of lines.
    Description
);
text!(
    /// Where a picture is: an `http` or `https` address of at most [`ImageUrl::LONGEST`] characters, in the one way that it
    /// is written.
    ImageUrl
);
text!(
    /// Why stock was changed, in somebody's words: a line of 1 to 200 characters, without surrounding white space.
    StockReason
);

fn line(text: &str, longest: usize) -> Result<String, TextError> {
    let text = text.trim();
    let fits = (1..=longest).contains(&text.chars().count());
    match fits && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(TextError::NotALine { longest }),
    }
}

impl FromStr for ProductName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        line(text, 200).map(Self)
    }
}

impl FromStr for VariantName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        line(text, 100).map(Self)
    }
}

impl FromStr for StockReason {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        line(text, 200).map(Self)
    }
}

impl Description {
    /// The most characters.
    pub const LONGEST: usize = 10_000;
}

impl FromStr for Description {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let no_text = |c: char| c.is_control() && !['\n', '\r', '\t'].contains(&c);
        if text.chars().count() > Self::LONGEST {
            Err(TextError::TooLong { longest: Self::LONGEST })
        } else if text.contains(no_text) {
            Err(TextError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl ImageUrl {
    /// The most characters.
    pub const LONGEST: usize = 2000;
}

impl FromStr for ImageUrl {
    type Err = TextError;

    /// Nobody's password belongs into the address of a picture.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let is_written_out = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        let plain = |c: char| !c.is_control() && !c.is_whitespace();
        let url = Url::parse(text).map_err(|_| TextError::NotAnAddress)?;
        let is_public = url.username().is_empty() && url.password().is_none();
        if !(is_written_out && is_public && text.chars().all(plain)) {
            return Err(TextError::NotAnAddress);
        }
        match url.as_str().len() <= Self::LONGEST {
            true => Ok(Self(url.into())),
            false => Err(TextError::TooLong { longest: Self::LONGEST }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line() {
        assert_eq!("  셔츠 ".parse::<ProductName>().unwrap().as_str(), "셔츠");
        for text in ["", " \t", "two\nlines", "nul\0", &"x".repeat(201)] {
            let longest = 200;
            assert_eq!(text.parse::<ProductName>(), Err(TextError::NotALine { longest }), "{text:?}");
        }
        assert!("이".repeat(200).parse::<ProductName>().is_ok());
        assert!("x".repeat(101).parse::<VariantName>().is_err());
    }

    #[test]
    fn a_description_has_lines_and_an_end() {
        assert_eq!("a\n\tb\r\n".parse::<Description>().unwrap().as_str(), "a\n\tb\r\n");
        assert!("".parse::<Description>().is_ok());
        assert_eq!("a\0b".parse::<Description>(), Err(TextError::Control));
        let longest = Description::LONGEST;
        assert!("설".repeat(longest).parse::<Description>().is_ok());
        assert_eq!("설".repeat(longest + 1).parse::<Description>(), Err(TextError::TooLong { longest }));
    }

    #[test]
    fn a_picture_is_somewhere_on_the_web() {
        for (text, stored) in [
            ("https://cdn.example.com/a.png?w=1#x", "https://cdn.example.com/a.png?w=1#x"),
            ("http://EXAMPLE.com", "http://example.com/"),
            ("https://example.com/셔츠.png", "https://example.com/%EC%85%94%EC%B8%A0.png"),
        ] {
            assert_eq!(text.parse::<ImageUrl>().unwrap().as_str(), stored);
        }
        for text in [
            "",
            "a.png",
            "/a.png",
            "//example.com/a.png",
            "ftp://example.com/a.png",
            "javascript:alert(1)",
            "data:image/png;base64,AA==",
            "http:example.com",
            "https://",
            "https://exa mple.com/",
            "https://example.com/a b",
            "https://example.com/\n",
            "https://mina:secret@example.com/",
        ] {
            assert_eq!(text.parse::<ImageUrl>(), Err(TextError::NotAnAddress), "{text:?}");
        }
        let long = format!("https://example.com/{}", "x".repeat(ImageUrl::LONGEST));
        assert_eq!(long.parse::<ImageUrl>(), Err(TextError::TooLong { longest: ImageUrl::LONGEST }));
    }
}
