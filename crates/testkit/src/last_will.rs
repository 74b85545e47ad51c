use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Shell commands that run when this process ends, even if it ends by SIGKILL.
///
/// A shell reads them from a pipe whose other end only this process holds (Rust opens it close-on-exec). The
/// pipe closes when the process ends, and only then does the shell act.
#[derive(Debug)]
pub(crate) struct LastWill {
    shell: Child,
}

impl LastWill {
    pub(crate) fn new() -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", r#"commands=$(cat); eval "$commands""#])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of the Ctrl-C that ends the process in the foreground.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    pub(crate) fn add(&mut self, command: &str) -> io::Result<()> {
        let pipe = self.shell.stdin.as_mut().expect("the pipe is open until execute()");
        writeln!(pipe, "{command}")
    }

    /// Lets the commands run now instead of at the end of the process; does not wait for them.
    pub(crate) fn execute(&mut self) {
        drop(self.shell.stdin.take());
    }
}

impl Drop for LastWill {
    fn drop(&mut self) {
        self.execute();
        let _ = self.shell.wait();
    }
}
