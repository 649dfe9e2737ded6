//! Admissions without a pause: pods created as a dry run through the real API server, and reviews on connections of their own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Roots};
use super::control_plane::ControlPlane;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// What is done again and again, until [`Load::stop`].
pub struct Load {
    stopping: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    slowest: Arc<Mutex<Duration>>,
    threads: Vec<JoinHandle<()>>,
}

/// How a load went.
#[derive(Debug)]
pub struct Outcome {
    pub done: u64,
    pub failures: Vec<String>,
    pub slowest: Duration,
}

impl Load {
    /// Creates OSDs (as a dry run) through the API server, on `threads` connections. Those that do not get their networks are
    /// failures.
    pub fn of_admissions(plane: &ControlPlane, threads: usize) -> Self {
        let api = plane.api();
        Self::start(threads, move || {
            let mut client = None;
            let api = api.clone();
            move |number| {
                let client = client.get_or_insert_with(|| api.connect());
                let pod = osd(&format!("load-{number}"));
                let created = api.request(client, "POST", "/api/v1/namespaces/rook-ceph/pods?dryRun=All", &pod)?;
                match &created["metadata"]["annotations"][NETWORKS] {
                    Value::String(networks) if networks.contains("public-net") => Ok(()),
                    _ => Err(format!("no networks: {created}")),
                }
            }
        })
    }

    /// Sends reviews to replicas, each on a connection of its own that is verified as the API server verifies it: by a
    /// `caBundle` that was read up to `lag` ago.
    pub fn of_handshakes(plane: &ControlPlane, addresses: &[SocketAddr], review: &str, lag: Duration) -> Self {
        let api = plane.api();
        let (addresses, review) = (addresses.to_vec(), review.to_owned());
        Self::start(1, move || {
            let (api, addresses, review) = (api.clone(), addresses.clone(), review.clone());
            let mut known: Option<(Instant, Vec<Roots>)> = None;
            move |number| {
                if known.as_ref().is_none_or(|(since, _)| since.elapsed() >= lag) {
                    known = Some((Instant::now(), api.bundles()?));
                }
                let (_, bundles) = known.as_ref().unwrap();
                let at = usize::try_from(number).unwrap();
                let address = addresses[at % addresses.len()];
                let bundle = &bundles[at % bundles.len()];
                let mut client = Client::try_connect(address, bundle, "rook-multihome.rook-multihome.svc")?;
                let response = client.try_request(
                    "POST",
                    "/mutate",
                    &[("content-type", "application/json")],
                    review.as_bytes(),
                )?;
                if response.status == 200 { Ok(()) } else { Err(format!("{} {}", response.status, response.text())) }
            }
        })
    }

    fn start<A: FnMut(u64) -> Result<(), String> + Send + 'static>(threads: usize, mut act: impl FnMut() -> A) -> Self {
        let mut load = Self {
            stopping: Arc::default(),
            done: Arc::default(),
            failures: Arc::default(),
            slowest: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..threads {
            let (stopping, done) = (Arc::clone(&load.stopping), Arc::clone(&load.done));
            let (failures, slowest) = (Arc::clone(&load.failures), Arc::clone(&load.slowest));
            let mut act = act();
            load.threads.push(std::thread::spawn(move || {
                while !stopping.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    let result = act(done.fetch_add(1, Ordering::Relaxed));
                    let took = started.elapsed();
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = took.max(*slowest);
                    drop(slowest);
                    if let Err(failure) = result {
                        failures.lock().unwrap().push(format!("after {took:?}: {failure}"));
                        sleep(Duration::from_millis(50));
                    }
                    // Two cores carry the whole control plane besides.
                    sleep(Duration::from_millis(5));
                }
            }));
        }
        load
    }

    /// How many were done so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many failed so far.
    pub fn failed(&self) -> usize {
        self.failures.lock().unwrap().len()
    }

    /// Ends it.
    pub fn stop(self) -> Outcome {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        Outcome { done: self.done.load(Ordering::Relaxed), failures, slowest: *self.slowest.lock().unwrap() }
    }
}

impl Outcome {
    /// Says how it went, and fails where not everything succeeded.
    pub fn expect_all(self, what: &str) {
        super::control_plane::say(&format!(
            "{what}: {} done, {} failed, the slowest took {:?}",
            self.done,
            self.failures.len(),
            self.slowest
        ));
        assert!(self.done > 20, "{what}: too few to say anything: {self:?}");
        assert!(
            self.failures.is_empty(),
            "{what}: {} of {} failed, first {}",
            self.failures.len(),
            self.done,
            self.failures[0]
        );
    }
}

/// An OSD without networks.
pub fn osd(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "rook-ceph", "labels": {"app": "rook-ceph-osd", "rook_cluster": "rook-ceph"}},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    })
}
