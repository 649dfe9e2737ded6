//! The program, serving manifests on ports of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Client;

/// Ends with the test that started it.
pub struct Running {
    child: Child,
    pub webhook: SocketAddr,
    pub admin: SocketAddr,
    pub certs: PathBuf,
    /// What was logged until the ports were open.
    before: Vec<Value>,
    logs: mpsc::Receiver<Value>,
    reading: Arc<AtomicBool>,
}

impl Running {
    /// Starts `serve` on manifests and waits until it is ready. Certificates are made in `certs` where there are none.
    pub fn start(manifests: &Path, certs: &Path, flags: &[impl AsRef<std::ffi::OsStr>]) -> Self {
        let mut command = super::program();
        command.args(["serve", "--manifests"]).arg(manifests).args(flags);
        Self::start_command(command, certs)
    }

    /// Starts a `serve` command whose other flags are given.
    pub fn start_command(command: Command, certs: &Path) -> Self {
        Self::start_listening(command, certs, "127.0.0.1:0")
    }

    /// The same, with the webhook's port at a given address.
    pub fn start_listening(command: Command, certs: &Path, address: &str) -> Self {
        Self::spawn(command, certs, address, Stdio::null())
    }

    /// The same, with what is printed on standard output going to a file.
    pub fn start_saying(command: Command, certs: &Path, address: &str, said: &std::fs::File) -> Self {
        Self::spawn(command, certs, address, said.try_clone().unwrap().into())
    }

    fn spawn(mut command: Command, certs: &Path, address: &str, stdout: Stdio) -> Self {
        command
            .args(["--listen", address, "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--cert-dir"])
            .arg(certs)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped());
        Self::begin(&mut command, certs)
    }

    /// Starts a command with all its flags given.
    pub fn start_exactly(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self::begin(&mut command, Path::new(""))
    }

    fn begin(command: &mut Command, certs: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, logs) = mpsc::channel();
        let reading = Arc::new(AtomicBool::new(true));
        let still_reading = Arc::clone(&reading);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                while !still_reading.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let (webhook, admin, before) = addresses(&logs);
        Self { child, webhook, admin, certs: certs.to_owned(), before, logs, reading }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.webhook, &self.certs.join("ca.crt"))
    }

    pub fn admin(&self, path: &str) -> (u16, String) {
        let response = Client::connect_plain(self.admin).request("GET", path, &[], b"");
        (response.status, response.text())
    }

    pub fn wait_until_ready(&self) {
        wait_for("readiness", || self.admin("/readyz").0 == 200);
    }

    /// The sum of a metric over all series that have at least the labels named; 0 where there are none.
    pub fn metric(&self, wanted: &str) -> f64 {
        fn split(series: &str) -> (&str, Vec<&str>) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect())
        }
        let (name, labels) = split(wanted);
        let text = self.admin("/metrics").1;
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
        let these = series.filter(|(series, _)| {
            let (found, with) = split(series);
            found == name && labels.iter().all(|label| with.contains(label))
        });
        // The sum of nothing is a negative zero.
        these.map(|(_, value)| value.parse::<f64>().unwrap()).fold(0.0, |sum, value| sum + value)
    }

    /// Waits for a log event with this message.
    pub fn wait_for_log(&self, message: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.logs.recv_timeout(left).unwrap_or_else(|_| panic!("no log event {message:?}"));
            if event["message"] == message {
                return event;
            }
        }
    }

    /// The log events so far that nobody has waited for.
    pub fn log_so_far(&self) -> Vec<Value> {
        self.before.iter().cloned().chain(self.logs.try_iter()).collect()
    }

    /// What was logged from the beginning to the end, which has to have come; what was waited for before is not in it.
    pub fn log(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.before).into_iter().chain(self.logs.iter()).collect()
    }

    /// From now on nobody reads what the process logs, until it ends.
    pub fn stop_reading_logs(&mut self) {
        self.reading.store(false, Ordering::Relaxed);
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    pub fn wait_for_exit(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        wait_for("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory of the process, in kB: `VmRSS` now, `VmHWM` at the most.
    pub fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        self.reading.store(true, Ordering::Relaxed);
    }
}

fn addresses(logs: &mpsc::Receiver<Value>) -> (SocketAddr, SocketAddr, Vec<Value>) {
    let mut before = Vec::new();
    loop {
        let event = logs
            .recv_timeout(Duration::from_secs(20))
            .unwrap_or_else(|_| panic!("the server did not start; it said {before:#?}"));
        if event["message"] == "serving" {
            let address = |key: &str| event[key].as_str().unwrap().parse().unwrap();
            return (address("webhook"), address("admin"), before);
        }
        before.push(event);
    }
}

/// Waits for something that takes a moment, with a bound that only a fault reaches.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
