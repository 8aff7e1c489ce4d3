//! Every history of events up to a bounded length keeps the promises of the machine.

use std::collections::HashSet;
use std::time::Duration;

use api::Key;

use super::*;
use crate::engine::Exit;
use crate::engine::ExitReason;
use crate::node::plan::{ContainerPlan, PullPolicy, RestartPolicy};

/// The machine and the world it acts on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    machine: PodMachine,
    now: Timestamp,
    question: Option<Question>,
    doing: Vec<Option<(Doing, Attempt)>>,
    killed: Vec<bool>,
    is_released: bool,
    is_removal_asked: bool,
    /// How many containers may still be added.
    to_add: usize,
}

/// What is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Admit,
    Attach,
    SetUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Preparing,
    Starting,
    Running,
}

impl World {
    fn new(plan: PodPlan, to_add: usize) -> Self {
        let containers = plan.containers.len();
        let now = Timestamp::UNIX_EPOCH;
        Self {
            machine: PodMachine::new(plan, Former::default(), now),
            now,
            question: None,
            doing: vec![None; containers],
            killed: vec![false; containers],
            is_released: false,
            is_removal_asked: false,
            to_add,
        }
    }

    /// Every event that can come next.
    fn events(&self) -> Vec<(Duration, Event)> {
        let failed = || Err(String::from("no"));
        let answers = match self.question {
            Some(Question::Admit) => vec![
                Event::Admitted(Ok(())),
                Event::Admitted(Err(Refusal { reason: "OutOfcpu", message: String::new() })),
            ],
            Some(Question::Attach) => {
                vec![Event::Attached(Ok([10, 128, 0, 1].into())), Event::Attached(failed())]
            }
            Some(Question::SetUp) => {
                let failed = |is_final| MountFailure { message: String::new(), is_final };
                vec![
                    Event::Mounted(Ok(())),
                    Event::Mounted(Err(failed(true))),
                    Event::Mounted(Err(failed(false))),
                ]
            }
            None => Vec::new(),
        };
        // What volumes show may have to be fetched first: meanwhile, all else can happen.
        let is_urgent = matches!(self.question, Some(Question::Admit | Question::Attach));
        let mut events = at_once(answers);
        if is_urgent {
            return events;
        }
        events.extend(at_once(self.changes()));
        for (index, doing) in self.doing.iter().enumerate() {
            events.extend(at_once(news(index, *doing)));
        }
        if let Some(wake_at) = self.machine.wake_at() {
            let wait = api::clock::until(self.now, wake_at).unwrap_or_default();
            events.push((wait, Event::Woken));
        }
        events
    }

    fn changes(&self) -> Vec<Event> {
        let mut changes = vec![Event::SourcesChanged, Event::Gone];
        for seconds in [30, 5] {
            let mut plan = self.machine.plan.clone();
            plan.deletion = Some(Duration::from_secs(seconds));
            changes.push(Event::Changed(plan));
        }
        let mut plan = self.machine.plan.clone();
        plan.containers[0].image = "localhost/other".into();
        changes.push(Event::Changed(plan));
        if self.to_add > 0 {
            let mut plan = self.machine.plan.clone();
            let restart_policy = RestartPolicy::Never;
            let added = ContainerPlan { is_ephemeral: true, restart_policy, ..plan.containers[0].clone() };
            plan.containers.push(added);
            changes.push(Event::Changed(plan));
        }
        changes
    }

    fn take(&mut self, (wait, event): (Duration, Event)) {
        self.now = add(self.now, wait);
        if matches!(event, Event::Admitted(_) | Event::Attached(_) | Event::Mounted(_)) {
            self.question = None;
        }
        if let Event::Prepared(index, ..) | Event::Started(index, _, Err(_)) | Event::Exited(index, ..) =
            event
        {
            self.doing[index] = None;
        }
        if let Event::Started(index, attempt, Ok(())) = event {
            self.doing[index] = Some((Doing::Running, attempt));
        }
        if let Event::Changed(plan) = &event {
            self.to_add -= plan.containers.len() - self.doing.len();
            self.doing.resize(plan.containers.len(), None);
            self.killed.resize(plan.containers.len(), false);
        }
        let before = self.machine.clone();
        let actions = self.machine.handle(event, self.now);
        for action in &actions {
            self.perform(action);
        }
        self.check(&before);
    }

    fn perform(&mut self, action: &Action) {
        let is_stopping = self.machine.stop.is_some();
        match action {
            Action::Admit | Action::Attach | Action::SetUp => {
                assert!(!is_stopping, "a stopping pod is not set up");
                assert!(self.question.is_none(), "one question at a time");
                self.question = Some(match action {
                    Action::Admit => Question::Admit,
                    Action::Attach => Question::Attach,
                    _ => Question::SetUp,
                });
            }
            Action::Prepare { container, attempt, .. } => {
                assert!(!is_stopping, "a stopping pod never runs again");
                assert_eq!(self.doing[*container], None, "one instance at a time");
                self.doing[*container] = Some((Doing::Preparing, *attempt));
            }
            Action::Start { container, attempt, .. } => {
                assert!(!is_stopping, "a stopping pod never runs again");
                assert_eq!(self.doing[*container], None, "one instance at a time");
                self.doing[*container] = Some((Doing::Starting, *attempt));
                self.killed[*container] = false;
            }
            Action::Abandon(container) => {
                let doing = self.doing[*container].take().map(|(doing, _)| doing);
                let is_abandonable = matches!(doing, Some(Doing::Preparing | Doing::Starting));
                assert!(is_abandonable, "what runs is asked to end: {doing:?}");
            }
            Action::Terminate(container) => {
                assert!(matches!(self.doing[*container], Some((Doing::Running, _))));
            }
            Action::Kill(container) => {
                assert!(matches!(self.doing[*container], Some((Doing::Running, _))));
                assert!(!self.killed[*container], "killed once");
                self.killed[*container] = true;
            }
            Action::Release => {
                assert!(self.doing.iter().all(Option::is_none), "nothing lives when all is given back");
                assert!(!self.is_released, "given back once");
                self.is_released = true;
                self.question = None;
            }
            Action::Remove => {
                assert!(!self.is_removal_asked, "removed once");
                assert!(self.machine.plan.deletion.is_some() && self.machine.phase().is_final());
                self.is_removal_asked = true;
            }
            Action::Drain | Action::Record(_) => {}
        }
    }

    fn check(&self, before: &PodMachine) {
        let after = &self.machine;
        assert!(after.phase() >= before.phase(), "a phase is never left for an earlier one");
        if let Some(ended) = before.ended {
            assert_eq!(after.ended, Some(ended), "the last phase stays");
        }
        if let Some(stop) = &before.stop {
            let deadline = after.stop.as_ref().expect("a stopping pod goes on stopping").deadline;
            assert!(deadline <= stop.deadline, "a deadline only comes closer");
        }
        if let Some(stop) = after.stop.as_ref().filter(|stop| stop.deadline <= self.now) {
            for (doing, killed) in self.doing.iter().zip(&self.killed) {
                assert!(doing.is_none() || *killed, "all are killed at {}", stop.deadline);
            }
        }
        for (container, former) in after.containers.iter().zip(&before.containers) {
            assert!(container.restarts() >= former.restarts());
            if former.has_ended() {
                assert!(container.has_ended(), "what has ended does not run again");
            }
        }
        if self.is_released {
            assert!(
                after.containers.iter().all(|container| container.last().is_some()),
                "each end has a code"
            );
        }
        if let Some(wake_at) = after.wake_at() {
            assert!(wake_at > self.now, "what is due is done: {after:?}");
        }
        assert!(!after.is_finished() || self.doing.iter().all(Option::is_none));
        let ready = after.conditions.iter().find(|condition| condition.name == "Ready");
        let own = self.doing.iter().take(after.own_containers().count());
        let all_run = own.into_iter().all(|doing| matches!(doing, Some((Doing::Running, _))));
        assert_eq!(ready.is_some_and(|ready| ready.holds), all_run, "ready is what runs");
    }
}

fn at_once(events: Vec<Event>) -> Vec<(Duration, Event)> {
    events.into_iter().map(|event| (Duration::ZERO, event)).collect()
}

/// What can be heard of a container, and once of an attempt long past.
fn news(index: usize, doing: Option<(Doing, Attempt)>) -> Vec<Event> {
    let exit = |code| Exit { code, reason: ExitReason::Error, message: String::new() };
    match doing {
        None => vec![],
        Some((Doing::Preparing, attempt)) => vec![
            Event::Image(index, attempt, ImageNews::Pulling { missing_secrets: Vec::new() }),
            Event::Prepared(index, attempt, Ok("id".into())),
            Event::Prepared(index, attempt, Err(ImageFailure::NotPulled(String::new()))),
        ],
        Some((Doing::Starting, attempt)) => vec![
            Event::Started(index, attempt, Ok(())),
            Event::Started(index, attempt, Err(StartFailure::Config(String::new()))),
            Event::Started(index, attempt, Err(StartFailure::Start(String::new()))),
        ],
        Some((Doing::Running, attempt)) => {
            vec![Event::Exited(index, attempt, exit(0)), Event::Exited(index, attempt, exit(1))]
        }
    }
}

fn plan(containers: usize, restart_policy: RestartPolicy) -> PodPlan {
    let container = |index| ContainerPlan {
        name: format!("c{index}"),
        image: "localhost/web".into(),
        pull_policy: PullPolicy::IfNotPresent,
        restart_policy,
        is_ephemeral: false,
        unsupported: None,
    };
    PodPlan {
        key: Key::new("n", "p"),
        uid: "u".into(),
        generation: None,
        grace: Duration::from_secs(30),
        deletion: None,
        active_deadline: (restart_policy == RestartPolicy::Never).then(|| Duration::from_secs(60)),
        containers: (0..containers).map(container).collect(),
        gates: Vec::new(),
        unsupported: None,
        ignored: None,
    }
}

/// Takes the world through every history of `length` events; equal worlds are gone on with once.
fn explore(plan: PodPlan, to_add: usize, length: usize) -> usize {
    let mut world = World::new(plan, to_add);
    world.take((Duration::ZERO, Event::Woken));
    let mut worlds = HashSet::from([world]);
    let mut seen = 0;
    for _ in 0..length {
        let mut next = HashSet::new();
        for world in worlds {
            for event in world.events() {
                let mut world = world.clone();
                world.take(event);
                next.insert(world);
            }
        }
        seen += next.len();
        worlds = next;
    }
    seen
}

const POLICIES: [RestartPolicy; 3] = [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never];

#[test]
fn promises_hold_in_every_history_of_one_container() {
    for policy in POLICIES {
        assert!(explore(plan(1, policy), 0, 11) > 1000);
    }
}

#[test]
fn promises_hold_in_every_history_of_two_containers() {
    for policy in POLICIES {
        assert!(explore(plan(2, policy), 0, 9) > 1000);
    }
}

#[test]
fn promises_hold_in_every_history_of_a_container_and_one_that_is_added() {
    for policy in POLICIES {
        assert!(explore(plan(1, policy), 1, 9) > 1000);
    }
}
