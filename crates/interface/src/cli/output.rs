//! What commands write.

use std::io::{self, ErrorKind, Write};

/// Writes a result to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    Ok(write(&mut io::stdout().lock(), text)?)
}

/// Tells about what goes on, on standard error. Nobody may be reading, and there is nowhere else to say that.
pub(super) fn tell(text: &str) {
    drop(write(&mut io::stderr().lock(), text));
}

/// A reader that has had enough (`| head`) is no failure.
fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A number of things: `1 coupon`, `2 coupons`.
pub(super) fn counted(number: usize, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is_one() {
        assert!(write(&mut Failing(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write(&mut Failing(ErrorKind::StorageFull), "text").is_err());
    }

    #[test]
    fn one_thing_is_singular() {
        assert_eq!(counted(1, "coupon"), "1 coupon");
        assert_eq!((counted(0, "user"), counted(2, "user")), ("0 users".to_owned(), "2 users".to_owned()));
    }
}
