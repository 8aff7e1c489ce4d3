//! Whatever pods do, however late the controller learns of it and wherever it dies, every result counts exactly once.

use std::collections::{BTreeMap, BTreeSet};

use api::Object;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

/// The pods of the cluster by name.
type Pods = BTreeMap<String, Value>;

/// A cluster with one Job, and a controller that sees its pods late.
struct World {
    job: Value,
    /// All states of the pods there were; the last is how they are.
    history: Vec<Pods>,
    /// The state the controller sees.
    seen: usize,
    now: Timestamp,
    revision: u64,
    /// Uids that ever stood in the status.
    entered: BTreeSet<String>,
    /// Uids of pods that ended well, and of those that did not or were told to go.
    succeeded: BTreeSet<String>,
    failed: BTreeSet<String>,
    /// How many had failed when the Job's fate was decided.
    failed_at_verdict: Option<usize>,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// The controller looks, and all it does is done.
    Look,
    /// It dies after so many writes, and another begins with everything it reads.
    Crash(usize),
    /// The controller sees more of what happened.
    See(usize),
    /// A pod ends, well or not.
    End(usize, bool),
    /// Somebody deletes a pod.
    Delete(usize),
    /// So many seconds pass.
    Pass(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::Look),
        1 => (0..6_usize).prop_map(Happens::Crash),
        3 => (1..4_usize).prop_map(Happens::See),
        4 => (0..9_usize, prop::bool::weighted(0.7)).prop_map(|(which, well)| Happens::End(which, well)),
        1 => (0..9_usize).prop_map(Happens::Delete),
        1 => (1..500_i64).prop_map(Happens::Pass),
    ]
}

/// One write of the controller: refused if it was decided on something that changed since.
fn is_current(object: &Value, patch: &Value) -> bool {
    let revision = &patch["metadata"]["resourceVersion"];
    revision.is_null() || *revision == object["metadata"]["resourceVersion"]
}

impl World {
    fn new(spec: Value) -> Self {
        let job = job(&json!({"spec": spec, "status": null})).object().value().clone();
        Self {
            job,
            history: vec![Pods::new()],
            seen: 0,
            now: now(),
            revision: 1,
            entered: BTreeSet::new(),
            succeeded: BTreeSet::new(),
            failed: BTreeSet::new(),
            failed_at_verdict: None,
        }
    }

    fn pods(&self) -> &Pods {
        self.history.last().expect("there is always a state")
    }

    /// Changes the pods; one that is to go and that nothing holds is gone.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        self.revision += 1;
        let mut pods = self.pods().clone();
        let pod = pods.entry(name.to_owned()).or_insert(Value::Null);
        change(pod);
        pod["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let metadata = &pod["metadata"];
        let held = metadata["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        if !metadata["deletionTimestamp"].is_null() && !held {
            pods.remove(name);
        }
        self.history.push(pods);
    }

    fn typed(value: &Value) -> Object {
        object(value.clone())
    }

    fn decide(&self) -> Vec<Action> {
        let job = Typed::<Job>::new(Self::typed(&self.job)).expect("a Job");
        let pods = self.history[self.seen].values();
        let pods: Vec<Typed<Pod>> = pods.map(|pod| Typed::new(Self::typed(pod)).expect("a pod")).collect();
        let selector = selector_of(job.object());
        let target = Target::of(&JOBS, job.object());
        reconcile(&State { job: Some(job), selector, pods, target, strays: vec![] }, self.now)
    }

    /// Carries out the first writes, and shows the controller its own, as the framework does.
    fn look(&mut self, mut left: usize) {
        let mut own = self.seen;
        for action in self.decide() {
            for _ in 0..if let Action::Create(create) = &action { create.times } else { 1 } {
                if left == 0 {
                    return;
                }
                left -= 1;
                match self.carry_out(&action) {
                    None => {
                        self.seen = own;
                        return;
                    }
                    Some(true) => own = self.history.len() - 1,
                    Some(false) => {}
                }
            }
        }
        self.seen = own;
    }

    /// Carries out one write: whether it changed a pod; none if it was refused.
    fn carry_out(&mut self, action: &Action) -> Option<bool> {
        match action {
            Action::Patch { subresource: "status", merge: patch, .. } => {
                if !is_current(&self.job, patch) {
                    return None;
                }
                self.check_books(patch);
                merge(&mut self.job, json!({"status": patch["status"]}));
                self.revision += 1;
                self.job["metadata"]["resourceVersion"] = self.revision.to_string().into();
                Some(false)
            }
            Action::Patch { target, merge: patch, .. } => {
                let name = target.key.name.to_string();
                let pod = self.pods().get(&name)?;
                if !is_current(pod, patch) {
                    return None;
                }
                let ended = pod["status"]["phase"] != "Pending";
                if ended
                    && self.failed_at_verdict.is_none()
                    && self.job["spec"]["completionMode"] != "Indexed"
                {
                    assert!(self.entered.contains(&name), "{name} goes before it is in the books");
                }
                self.change(&name, |pod| merge(pod, patch.clone()));
                Some(true)
            }
            Action::Delete { target, .. } => {
                let name = target.key.name.to_string();
                if self.pods().contains_key(&name) {
                    self.change(&name, |pod| pod["metadata"]["deletionTimestamp"] = NOW.into());
                }
                Some(true)
            }
            Action::Create(create) => {
                let name = format!("p{:04}", self.revision);
                let mut value = create.value.clone();
                let metadata = json!({"name": name, "namespace": "n", "uid": name});
                merge(&mut value, json!({"metadata": metadata, "status": {"phase": "Pending"}}));
                self.change(&name, |pod| *pod = value);
                Some(true)
            }
            _ => Some(false),
        }
    }

    /// No uid comes into the status twice, and each that leaves adds one to its count.
    fn check_books(&mut self, patch: &Value) {
        let mut new = self.job.clone();
        merge(&mut new, json!({"status": patch["status"]}));
        let indexed = new["spec"]["completionMode"] == "Indexed";
        for (side, count) in [("succeeded", "succeeded"), ("failed", "failed")] {
            let uids = |job: &Value| -> BTreeSet<String> {
                let uids = job["status"]["uncountedTerminatedPods"][side].as_array();
                uids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let (before, after) = (uids(&self.job), uids(&new));
            for uid in after.difference(&before) {
                assert!(self.entered.insert(uid.clone()), "{uid} comes into the status again");
            }
            let number = |job: &Value| job["status"][count].as_u64().unwrap_or(0);
            if !(indexed && side == "succeeded") {
                let left = before.difference(&after).count();
                assert_eq!(number(&new) - number(&self.job), left as u64, "{count}: {patch}");
            }
        }
        let decided = new["status"]["conditions"].as_array().is_some_and(|all| !all.is_empty());
        if decided {
            self.failed_at_verdict.get_or_insert(self.failed.len());
        }
    }

    fn nth_running(&self, which: usize) -> Option<String> {
        let runs = |pod: &&Value| pod["status"]["phase"] == "Pending";
        let running: Vec<&Value> = self.pods().values().filter(runs).collect();
        let pod = running.get(which % running.len().max(1))?;
        pod["metadata"]["name"].as_str().map(str::to_owned)
    }

    fn end(&mut self, name: &str, well: bool) {
        let finished = self.now.to_string();
        let goes = !self.pods()[name]["metadata"]["deletionTimestamp"].is_null();
        let phase = if well { "Succeeded" } else { "Failed" };
        let state = json!({"terminated": {"exitCode": i32::from(!well), "finishedAt": finished}});
        let container = json!({"name": "c", "restartCount": 0, "ready": false, "image": "", "imageID": "",
            "state": state});
        self.change(name, |pod| {
            pod["status"] = json!({"phase": phase, "containerStatuses": [container]});
        });
        match well {
            true if !goes => self.succeeded.insert(name.to_owned()),
            // One that was told to go may count as either.
            true => self.succeeded.insert(name.to_owned()) | self.failed.insert(name.to_owned()),
            false => self.failed.insert(name.to_owned()),
        };
    }

    fn play(&mut self, what: Happens) {
        match what {
            Happens::Look => self.look(usize::MAX),
            Happens::Crash(writes) => {
                self.look(writes);
                self.seen = self.history.len() - 1;
            }
            Happens::See(steps) => self.seen = (self.seen + steps).min(self.history.len() - 1),
            Happens::End(which, well) => {
                if let Some(name) = self.nth_running(which) {
                    self.end(&name, well);
                }
            }
            Happens::Delete(which) => {
                if let Some(name) = self.nth_running(which) {
                    self.failed.insert(name.clone());
                    self.change(&name, |pod| pod["metadata"]["deletionTimestamp"] = NOW.into());
                }
            }
            Happens::Pass(seconds) => self.now += SignedDuration::from_secs(seconds),
        }
    }

    fn count(&self, name: &str) -> usize {
        self.job["status"][name].as_u64().map_or(0, |count| usize::try_from(count).expect("a count"))
    }

    fn has(&self, kind: &str) -> bool {
        let conditions = self.job["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|said| said["type"] == kind && said["status"] == "True")
    }

    fn active(&self) -> usize {
        let runs = |pod: &&Value| {
            pod["status"]["phase"] == "Pending" && pod["metadata"]["deletionTimestamp"].is_null()
        };
        self.pods().values().filter(runs).count()
    }
}

fn specs() -> impl Strategy<Value = (Value, usize, usize, usize)> {
    (1..5_usize, 0..7_usize, 0..5_usize, any::<bool>(), any::<bool>()).prop_map(
        |(parallelism, completions, limit, indexed, awaits)| {
            let spec = json!({"parallelism": parallelism, "completions": completions, "backoffLimit": limit,
                "completionMode": if indexed { "Indexed" } else { "NonIndexed" },
                "podReplacementPolicy": if awaits { "Failed" } else { "TerminatingOrFailed" }});
            (spec, parallelism, completions, limit)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_result_counts_once_and_it_ends(
        (spec, parallelism, completions, limit) in specs(),
        story in prop::collection::vec(happens(), 0..150),
        ends in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut world = World::new(spec);
        let check = |world: &World| {
            prop_assert!(world.active() <= parallelism, "{} at once", world.active());
            prop_assert!(world.count("succeeded") <= world.succeeded.len(), "{}", world.job["status"]);
            if world.failed_at_verdict.is_none() {
                prop_assert!(world.count("failed") <= world.failed.len(), "{}", world.job["status"]);
            }
            Ok(())
        };
        for what in story {
            world.play(what);
            check(&world)?;
        }
        // From now on pods end one after another, and everything is seen.
        let mut rounds = 0;
        while !world.has("Complete") && !world.has("Failed") {
            rounds += 1;
            prop_assert!(rounds < 200, "it does not end: {} {:?}", world.job["status"], world.pods());
            world.play(Happens::See(usize::MAX / 2));
            world.play(Happens::Look);
            world.play(Happens::End(0, ends[rounds % ends.len()] || rounds > 100));
            world.play(Happens::Pass(400));
            check(&world)?;
        }
        let status = world.job["status"].clone();
        if world.has("Complete") {
            prop_assert_eq!(world.count("succeeded"), completions, "{}", status);
            prop_assert!(world.count("failed") <= limit, "{}", status);
        } else {
            prop_assert!(world.count("failed") > limit, "{}", status);
            prop_assert!(world.failed_at_verdict > Some(limit), "{}", status);
            prop_assert!(world.count("succeeded") <= completions, "{}", status);
        }
        prop_assert!(world.active() == 0);
        let held = world.pods().values().any(|pod| pod["metadata"]["finalizers"] != json!([]));
        prop_assert!(!held, "{:?}", world.pods());
        world.play(Happens::See(usize::MAX / 2));
        prop_assert!(world.decide().is_empty(), "a finished Job is left alone");
    }
}
