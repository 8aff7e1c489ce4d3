//! Rows of what happens to a pod and what the machine does about it.

#![allow(clippy::unwrap_used)]

mod health;
mod images;
mod order;

use std::time::Duration;

use api::Key;

use super::*;
use crate::engine::{Exit, ExitReason};
use crate::node::plan::{ContainerPlan, FormerContainer, RestartPolicy};

/// A machine, its time, and a node on which all that is asked for goes well at once.
struct Trial {
    machine: PodMachine,
    now: Timestamp,
    attempts: Vec<Attempt>,
    images_missing: bool,
}

fn container(name: &str, role: Role, policy: RestartPolicy) -> ContainerPlan {
    ContainerPlan {
        name: name.into(),
        image: "localhost/web:v1".into(),
        role,
        restarts: policy.into(),
        ..ContainerPlan::default()
    }
}

fn plan(policy: RestartPolicy, names: &[&str]) -> PodPlan {
    PodPlan {
        key: Key::new("default", "web-1"),
        uid: "u".into(),
        generation: Some(1),
        grace: Duration::from_secs(30),
        deletion: None,
        active_deadline: None,
        containers: names.iter().map(|name| container(name, Role::Main, policy)).collect(),
        gates: Vec::new(),
        unsupported: None,
        ignored: None,
    }
}

impl Trial {
    fn of(plan: PodPlan, former: Former) -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Self {
            attempts: vec![0; plan.containers.len()],
            machine: PodMachine::new(plan, former, now),
            now,
            images_missing: false,
        }
    }

    fn new(policy: RestartPolicy, names: &[&str]) -> Self {
        Self::of(plan(policy, names), Former::default())
    }

    /// What the machine asks for; questions are answered well.
    fn tell(&mut self, event: Event) -> Vec<String> {
        let mut words = Vec::new();
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.handle(event, self.now) {
                let missing = Err(ImageFailure::NotPulled("no such image".into()));
                match &action {
                    Action::Admit => events.push_back(Event::Admitted(Ok(()))),
                    Action::Attach => events.push_back(Event::Attached(Ok([10, 128, 0, 1].into()))),
                    Action::SetUp => events.push_back(Event::Mounted(Ok(()))),
                    Action::Prepare { container, attempt, .. } => {
                        self.attempts[*container] = *attempt;
                        let news = if self.images_missing {
                            ImageNews::Pulling { missing_secrets: Vec::new() }
                        } else {
                            ImageNews::Present
                        };
                        events.push_back(Event::Image(*container, *attempt, news));
                        let answer = if self.images_missing { missing } else { Ok("id".into()) };
                        events.push_back(Event::Prepared(*container, *attempt, answer));
                    }
                    Action::Start { container, attempt, .. } => {
                        events.push_back(Event::Started(*container, *attempt, Ok(())));
                    }
                    _ => {}
                }
                words.push(in_words(&action));
            }
        }
        words
    }

    fn exit(&mut self, container: usize, code: i32) -> Vec<String> {
        let exit = Exit {
            code,
            reason: if code == 0 { ExitReason::Completed } else { ExitReason::Error },
            message: String::new(),
        };
        self.tell(Event::Exited(container, self.attempts[container], exit))
    }

    /// Adds a container to look at the others.
    fn add(&mut self, name: &str, unsupported: Option<&str>) -> Vec<String> {
        let mut plan = self.machine.plan.clone();
        plan.containers.push(ContainerPlan {
            unsupported: unsupported.map(str::to_owned),
            ..container(name, Role::Ephemeral, RestartPolicy::Never)
        });
        self.attempts.push(0);
        self.tell(Event::Changed(plan))
    }

    fn delete(&mut self, grace_seconds: u64) -> Vec<String> {
        let mut plan = self.machine.plan.clone();
        plan.deletion = Some(Duration::from_secs(grace_seconds));
        self.tell(Event::Changed(plan))
    }

    /// Lets time pass, waking the machine when it asked to be.
    fn wait(&mut self, seconds: u64) -> Vec<String> {
        let end = add(self.now, Duration::from_secs(seconds));
        let mut words = Vec::new();
        while let Some(wake_at) = self.machine.wake_at().filter(|wake_at| *wake_at <= end) {
            self.now = wake_at;
            words.extend(self.tell(Event::Woken));
        }
        self.now = end;
        words
    }

    /// Phase, then of each container its state and how often it was restarted.
    fn summary(&self) -> String {
        let mut words = vec![format!("{:?}", self.machine.phase())];
        for container in self.machine.containers() {
            let state = match container.state() {
                State::Waiting { reason, .. } => (*reason).to_owned(),
                State::Ended => {
                    container.last().map_or("never".into(), |last| format!("ended={}", last.code))
                }
                State::Running(Running { health: Health::Ready, .. }) => "running".to_owned(),
                State::Running(running) => format!("{:?}", running.health).to_lowercase(),
                state => format!("{state:?}"),
            };
            words.push(format!("{}:{state}/{}", container.name(), container.restarts()));
        }
        words.join(" ")
    }
}

fn in_words(action: &Action) -> String {
    match action {
        Action::Prepare { container, .. } => format!("Prepare {container}"),
        Action::Start { container, run, .. } => format!("Start {container} run {run}"),
        Action::Hook { container, hook, .. } => format!("{hook:?} {container}"),
        Action::Record(note) => format!("{}: {}", note.reason, note.message),
        action => format!("{action:?}"),
    }
}

#[test]
fn a_pod_is_set_up_and_its_containers_started() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    let expected = [
        "Admit",
        "Attach",
        "SetUp",
        "Prepare 0",
        "Pulled: Container image \"localhost/web:v1\" already present on machine",
        "Start 0 run 0",
        "Created: Container created",
        "Started: Container started",
    ];
    assert_eq!(trial.tell(Event::Woken), expected);
    assert_eq!(trial.summary(), "Running web:running/0");
    assert!(trial.machine.is_settled());
}

#[test]
fn a_container_that_ends_comes_back_later_each_time() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    let actions = trial.exit(0, 1);
    assert_eq!(
        actions[..2],
        ["Prepare 0", "Pulled: Container image \"localhost/web:v1\" already present on machine"]
    );
    assert_eq!(trial.summary(), "Running web:running/1");
    for (seconds, words) in
        [(10, "10s"), (20, "20s"), (40, "40s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s"), (300, "5m0s")]
    {
        let actions = trial.exit(0, 1);
        assert_eq!(actions, ["BackOff: Back-off restarting failed container web in pod web-1_default(u)"]);
        assert!(trial.summary().starts_with("Running web:CrashLoopBackOff"));
        let State::Waiting { message, .. } = trial.machine.containers()[0].state() else { panic!() };
        assert_eq!(
            message,
            &format!("back-off {words} restarting failed container=web pod=web-1_default(u)")
        );
        assert_eq!(trial.wait(seconds - 1), [""; 0]);
        assert!(!trial.wait(1).is_empty());
    }
    assert_eq!(trial.wait(600), [""; 0]);
    trial.exit(0, 1);
    assert_eq!(
        trial.summary(),
        "Running web:running/9",
        "it has proved itself: the first end is forgiven again"
    );
}

#[test]
fn the_restart_policy_decides_the_last_phase() {
    let check = |policy, codes: [i32; 2], expected: &str| {
        let mut trial = Trial::new(policy, &["a", "b"]);
        trial.tell(Event::Woken);
        trial.exit(0, codes[0]);
        let actions = trial.exit(1, codes[1]);
        assert_eq!(trial.summary(), expected);
        assert_eq!(actions.contains(&"Release".to_owned()), trial.machine.phase().is_final());
    };
    check(RestartPolicy::Never, [0, 0], "Succeeded a:ended=0/0 b:ended=0/0");
    check(RestartPolicy::Never, [0, 3], "Failed a:ended=0/0 b:ended=3/0");
    check(RestartPolicy::OnFailure, [0, 0], "Succeeded a:ended=0/0 b:ended=0/0");
    check(RestartPolicy::OnFailure, [0, 3], "Running a:ended=0/0 b:running/1");
    check(RestartPolicy::Always, [0, 0], "Running a:running/1 b:running/1");
}

#[test]
fn a_deleted_pod_is_asked_to_end_then_killed_then_removed() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    assert_eq!(trial.delete(30), ["Drain", "Killing: Stopping container web", "Terminate(0)"]);
    trial.wait(10);
    assert_eq!(trial.delete(30), [""; 0], "asking again changes nothing");
    assert_eq!(trial.wait(19), [""; 0]);
    assert_eq!(trial.wait(1), ["Kill(0)"]);
    assert_eq!(trial.exit(0, 137), ["Release", "Remove"]);
    assert_eq!(trial.summary(), "Failed web:ended=137/0");
    assert_eq!(trial.tell(Event::Gone), [""; 0]);
    assert!(trial.machine.is_finished());
}

#[test]
fn a_shorter_grace_brings_the_deadline_closer() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    trial.delete(30);
    assert_eq!(trial.delete(5), [""; 0]);
    assert_eq!(trial.wait(5), ["Kill(0)"]);
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    trial.delete(5);
    trial.delete(300);
    assert_eq!(trial.wait(5), ["Kill(0)"]);
}

#[test]
fn a_pod_removed_by_force_is_killed() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    let actions = trial.tell(Event::Gone);
    assert_eq!(actions, ["Drain", "Killing: Stopping container web", "Terminate(0)", "Kill(0)"]);
    assert_eq!(trial.exit(0, 137), ["Release"]);
    assert!(trial.machine.is_finished());
}

#[test]
fn a_node_that_ends_takes_the_grace_it_has() {
    for (limit, words) in [(10, ["Kill(0)"].as_slice()), (60, &[])] {
        let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
        trial.tell(Event::Woken);
        let limit = add(trial.now, Duration::from_secs(limit));
        let actions = trial.tell(Event::Leaving(limit));
        assert_eq!(actions, ["Drain", "Killing: Stopping container web", "Terminate(0)"]);
        assert_eq!(trial.wait(20), words);
        assert_eq!(trial.exit(0, 143), ["Release"]);
        assert!(trial.machine.is_finished(), "the object is not removed");
    }
}

#[test]
fn another_image_takes_the_place_of_the_running_one() {
    let mut trial = Trial::new(RestartPolicy::Never, &["web"]);
    trial.tell(Event::Woken);
    let mut plan = trial.machine.plan.clone();
    plan.containers[0].image = "localhost/web:v2".into();
    let actions = trial.tell(Event::Changed(plan));
    assert_eq!(actions, ["Killing: Container web definition changed, will be restarted", "Terminate(0)"]);
    let actions = trial.exit(0, 143);
    assert_eq!(actions[1], "Pulled: Container image \"localhost/web:v2\" already present on machine");
    assert_eq!(trial.summary(), "Running web:running/1");
}

#[test]
fn a_deadline_fails_the_pod_and_keeps_its_object() {
    let mut plan = plan(RestartPolicy::Never, &["job"]);
    plan.active_deadline = Some(Duration::from_secs(60));
    let mut trial = Trial::of(plan, Former::default());
    trial.tell(Event::Woken);
    assert_eq!(trial.wait(59), [""; 0]);
    assert_eq!(trial.wait(1)[1..], ["Drain", "Killing: Stopping container job", "Terminate(0)"]);
    assert_eq!(trial.exit(0, 0), ["Release"]);
    assert_eq!(trial.summary(), "Failed job:ended=0/0");
    assert_eq!(trial.machine.verdict().unwrap().reason, "DeadlineExceeded");
    assert_eq!(trial.delete(30), ["Remove"]);
}

#[test]
fn a_pod_that_has_to_go_fails_within_its_grace() {
    let check = |is_for_the_node: bool| {
        let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
        trial.tell(Event::Woken);
        let message = "The node was low on resource: memory. ".to_owned();
        let eviction = Eviction { message, grace: Duration::from_secs(1), is_for_the_node };
        assert_eq!(
            trial.tell(Event::Evicted(eviction.clone())),
            [
                "Evicted: The node was low on resource: memory. ",
                "Drain",
                "Killing: Stopping container web",
                "Terminate(0)"
            ]
        );
        assert_eq!(trial.tell(Event::Evicted(eviction.clone())), [""; 0], "it goes already");
        // However little time there is, two seconds are left.
        assert_eq!(trial.wait(1), [""; 0]);
        assert_eq!(trial.wait(1), ["Kill(0)"]);
        assert_eq!(trial.exit(0, 137), ["Release"]);
        assert_eq!(trial.summary(), "Failed web:ended=137/0");
        assert_eq!(trial.machine.verdict().unwrap().reason, "Evicted");
        let disruption = trial.machine.conditions().iter().find(|known| known.name == "DisruptionTarget");
        let disruption = disruption.map(|known| (known.holds, known.reason, known.message.as_str()));
        let expected = (true, "TerminationByKubelet", eviction.message.as_str());
        assert_eq!(disruption, is_for_the_node.then_some(expected));
    };
    check(true);
    check(false);
}

#[test]
fn what_is_not_supported_never_starts() {
    let mut plan = plan(RestartPolicy::Always, &["web"]);
    plan.unsupported = Some("spec.hostNetwork: not supported yet".into());
    let mut trial = Trial::of(plan, Former::default());
    assert_eq!(trial.tell(Event::Woken), ["Unsupported: spec.hostNetwork: not supported yet"]);
    assert_eq!(trial.machine.problem().unwrap().reason, "CreateContainerConfigError");
    assert!(trial.machine.is_settled() && trial.machine.wake_at().is_none());
    assert_eq!(trial.delete(30), ["Release", "Remove"]);
}

fn condition(machine: &PodMachine, name: &str) -> bool {
    machine.conditions().iter().any(|condition| condition.name == name && condition.holds)
}

#[test]
fn a_container_that_is_added_runs_once_and_is_not_waited_for() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    assert_eq!(trial.add("shell", None)[0], "Prepare 1");
    assert_eq!(trial.summary(), "Running web:running/0 shell:running/0");
    assert_eq!(trial.exit(1, 3), [""; 0]);
    assert_eq!(trial.summary(), "Running web:running/0 shell:ended=3/0");
    assert!(condition(&trial.machine, "Ready"));
    assert_eq!(trial.wait(600), [""; 0]);
    trial.images_missing = true;
    trial.add("missing", None);
    assert_eq!(trial.summary(), "Running web:running/0 shell:ended=3/0 missing:ErrImagePull/0");
    assert!(condition(&trial.machine, "ContainersReady"));
}

#[test]
fn a_pod_ends_with_its_own_containers_and_takes_along_what_was_added() {
    let check = |code: i32, expected: &str| {
        let mut trial = Trial::new(RestartPolicy::Never, &["job"]);
        trial.tell(Event::Woken);
        trial.add("shell", None);
        let actions = trial.exit(0, code);
        assert_eq!(actions, ["Drain", "Killing: Stopping container shell", "Terminate(1)"]);
        assert_eq!(trial.machine.phase(), Phase::Running);
        assert_eq!(trial.wait(30), ["Kill(1)"]);
        assert_eq!(trial.exit(1, 137), ["Release"]);
        assert_eq!(trial.summary(), expected);
        assert_eq!(trial.add("late", None), [""; 0]);
        assert_eq!(trial.summary(), format!("{expected} late:ended=137/0"));
    };
    check(0, "Succeeded job:ended=0/0 shell:ended=137/0");
    check(3, "Failed job:ended=3/0 shell:ended=137/0");
}

#[test]
fn an_added_container_that_cannot_be_does_not_start_and_changes_nothing_else() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.tell(Event::Woken);
    let words = "spec.ephemeralContainers[0].securityContext.privileged: not supported yet";
    assert_eq!(trial.add("shell", Some(words)), [format!("Unsupported: {words}")]);
    assert_eq!(trial.summary(), "Running web:running/0 shell:CreateContainerError/0");
    assert_eq!(trial.tell(Event::SourcesChanged), [""; 0]);
    assert_eq!(trial.wait(600), [""; 0]);
}

#[test]
fn what_is_added_to_a_pod_that_has_not_begun_waits_for_its_volumes() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    let actions = trial.add("shell", None);
    assert_eq!(actions[..4], ["Admit", "Attach", "SetUp", "Prepare 0"]);
    assert_eq!(trial.summary(), "Running web:running/0 shell:running/0");
    assert_eq!(trial.delete(30).iter().filter(|action| action.starts_with("Terminate")).count(), 2);
    assert_eq!(trial.add("late", None), [""; 0], "nothing is added to a pod that ends");
}

#[test]
fn after_a_restart_of_the_node_containers_run_again_where_the_policy_allows() {
    let former = |running: bool, code: Option<i32>| {
        let time = "2025-12-31T00:00:00Z".parse().unwrap();
        let container = FormerContainer {
            restarts: 2,
            running_since: running.then_some(time),
            last: code.map(|code| Termination {
                code,
                reason: "Error".into(),
                message: String::new(),
                started: time,
                finished: time,
            }),
            image_id: "id".into(),
        };
        Former { ended: None, start_time: Some(time), containers: vec![container] }
    };
    let check = |policy, former: Former, expected: &str| {
        let mut trial = Trial::of(plan(policy, &["web"]), former);
        trial.tell(Event::Woken);
        assert_eq!(trial.summary(), expected);
    };
    check(RestartPolicy::Always, former(true, None), "Running web:running/3");
    check(RestartPolicy::OnFailure, former(true, None), "Running web:running/3");
    check(RestartPolicy::Never, former(true, None), "Failed web:ended=137/2");
    check(RestartPolicy::OnFailure, former(false, Some(0)), "Succeeded web:ended=0/2");
    check(RestartPolicy::Always, former(false, Some(0)), "Running web:running/3");
    let mut looked_at = plan(RestartPolicy::Always, &["web", "shell"]);
    looked_at.containers[1] = container("shell", Role::Ephemeral, RestartPolicy::Never);
    let mut both = former(true, None);
    both.containers.push(FormerContainer { restarts: 0, ..both.containers[0].clone() });
    let mut trial = Trial::of(looked_at, both);
    trial.tell(Event::Woken);
    assert_eq!(trial.summary(), "Running web:running/3 shell:ended=137/0");
    let mut ended = former(false, Some(0));
    ended.ended = Some(Phase::Succeeded);
    check(RestartPolicy::Always, ended, "Succeeded web:ended=0/2");
}
