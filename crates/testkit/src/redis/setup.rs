use std::fs;
use std::io;
use std::path::Path;

use super::RedisOptions;

/// The certificate of a server with TLS, which is also that of the authority behind it.
pub(super) const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";

/// What a program needs to be started as a server or a sentinel: on this machine as in a container.
#[derive(Debug)]
pub(super) struct Setup {
    /// Names and contents, put in the folder in which the program is started.
    pub(super) files: Vec<(&'static str, String)>,
    pub(super) arguments: Vec<String>,
    /// What it logs when it is ready, as Redis from 6 and Valkey do.
    pub(super) ready: &'static str,
    /// Whether it calls another server of this machine, as a sentinel does.
    pub(super) calls_this_machine: bool,
}

impl Setup {
    pub(super) fn server(options: RedisOptions, port: u16) -> Self {
        let appendonly = if options.persistent { "yes" } else { "no" };
        let mut setup = Self {
            files: Vec::new(),
            arguments: words(&["--save", "", "--appendonly", appendonly, "--appendfsync", "always"]),
            ready: "Ready to accept connections",
            calls_this_machine: false,
        };
        if options.tls {
            setup.with_tls(port);
        } else {
            setup.arguments.extend(words(&["--port", &port.to_string()]));
        }
        if options.cluster {
            setup.as_cluster(port);
        }
        setup
    }

    /// For clients that know the authority; they need no certificate themselves.
    fn with_tls(&mut self, port: u16) {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let own = rcgen::generate_simple_self_signed(names).expect("both are valid names");
        self.files.push((CERTIFICATE, own.cert.pem()));
        self.files.push((KEY, own.signing_key.serialize_pem()));
        self.arguments.extend(words(&["--port", "0", "--tls-port", &port.to_string()]));
        self.arguments.extend(words(&["--tls-cert-file", CERTIFICATE, "--tls-ca-cert-file", CERTIFICATE]));
        self.arguments.extend(words(&[
            "--tls-key-file",
            KEY,
            "--tls-auth-clients",
            "no",
            "--tls-cluster",
            "yes",
        ]));
    }

    /// A cluster of one node that has all slots from the start.
    fn as_cluster(&mut self, port: u16) {
        let bus = port + CLUSTER_BUS;
        let node = format!("{:040x} 127.0.0.1:{port}@{bus} myself,master - 0 0 1 connected 0-16383", 1);
        self.files.push(("nodes.conf", format!("{node}\nvars currentEpoch 1 lastVoteEpoch 0\n")));
        self.arguments.extend(words(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]));
        // Two seconds after it accepts connections.
        self.ready = "Cluster state changed: ok";
    }

    pub(super) fn sentinel(master: &str, master_port: u16, port: u16) -> Self {
        let lines = [
            // In a container it is on the network of the machine.
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("sentinel monitor {master} 127.0.0.1 {master_port} 1"),
            // By default, it takes a master for healthy until it has been silent for half a minute.
            format!("sentinel down-after-milliseconds {master} 500"),
        ];
        Self {
            // It keeps its state in the file too.
            files: vec![("sentinel.conf", lines.join("\n") + "\n")],
            arguments: words(&["sentinel.conf", "--sentinel"]),
            ready: "+monitor master",
            calls_this_machine: true,
        }
    }

    pub(super) fn write_files(&self, folder: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, content)| fs::write(folder.join(name), content))
    }
}

/// How far the port on which the nodes of a cluster talk lies above the one for clients.
pub(super) const CLUSTER_BUS: u16 = 10_000;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
