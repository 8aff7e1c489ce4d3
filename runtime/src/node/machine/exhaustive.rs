//! Every history of events up to a bounded length keeps the promises of the machine.

use std::collections::HashSet;
use std::time::Duration;

use api::Key;

use super::*;
use crate::engine::Exit;
use crate::engine::ExitReason;
use crate::node::plan::{ContainerPlan, Hooks, Probes, RestartPolicy};

/// The machine and the world it acts on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    machine: PodMachine,
    now: Timestamp,
    question: Option<Question>,
    doing: Vec<Option<(Doing, Attempt)>>,
    hooks: Vec<Option<Hook>>,
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
            hooks: vec![None; containers],
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
            events.extend(at_once(self.findings(index)));
        }
        if let Some(wake_at) = self.machine.wake_at() {
            let wait = api::clock::until(self.now, wake_at).unwrap_or_default();
            events.push((wait, Event::Woken));
        }
        events
    }

    fn changes(&self) -> Vec<Event> {
        let mut changes = vec![Event::SourcesChanged, Event::Gone, Event::Resized(0)];
        changes.push(Event::Leaving(add(self.now, Duration::from_secs(10))));
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
            let restarts = RestartPolicy::Never.into();
            let added = ContainerPlan { role: Role::Ephemeral, restarts, ..plan.containers[0].clone() };
            plan.containers.push(added);
            changes.push(Event::Changed(plan));
        }
        changes
    }

    /// What hooks and probes of a container can say.
    fn findings(&self, index: usize) -> Vec<Event> {
        let Some((Doing::Running, attempt)) = self.doing[index] else {
            return Vec::new();
        };
        let hook = self.hooks[index];
        let hooked = hook.into_iter().flat_map(|hook| [(hook, Ok(())), (hook, Err(String::new()))]);
        let hooked = hooked.map(|(hook, answer)| Event::Hooked(index, attempt, hook, answer));
        let probes = self.machine.plan.containers[index].probes;
        let is_probed = hook.is_none() && (probes.startup || probes.readiness);
        let grace = Some(Duration::from_secs(5));
        let failing = Finding::Failing { message: String::new(), grace };
        let findings = [Finding::Started, Finding::Ready(true), Finding::Ready(false), failing];
        let findings = findings.into_iter().filter(|_| is_probed);
        hooked.chain(findings.map(|finding| Event::Found(index, attempt, finding))).collect()
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
            self.hooks[index] = None;
        }
        if let Event::Hooked(index, _, _, _) = event {
            self.hooks[index] = None;
        }
        if let Event::Started(index, attempt, Ok(())) = event {
            self.doing[index] = Some((Doing::Running, attempt));
        }
        if let Event::Changed(plan) = &event {
            self.to_add -= plan.containers.len() - self.doing.len();
            self.doing.resize(plan.containers.len(), None);
            self.hooks.resize(plan.containers.len(), None);
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
                self.check_turn(*container);
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
            Action::Hook { container, hook, .. } => {
                assert!(matches!(self.doing[*container], Some((Doing::Running, _))));
                assert_ne!(self.hooks[*container], Some(*hook), "a hook runs once");
                self.hooks[*container] = Some(*hook);
            }
            Action::Terminate(container) => {
                assert!(matches!(self.doing[*container], Some((Doing::Running, _))));
                self.check_end(*container);
                self.hooks[*container] = None;
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

    /// What begins has waited for what comes before it.
    fn check_turn(&self, index: usize) {
        let container = &self.machine.containers[index];
        if container.restarts() > 0 || container.has_run() || container.plan().role == Role::Ephemeral {
            return;
        }
        for before in &self.machine.containers[..index] {
            match before.plan().role {
                Role::Init => assert!(before.has_ended() && before.has_succeeded(), "first things first"),
                Role::Sidecar => assert!(before.has_run(), "started before the others"),
                Role::Main | Role::Ephemeral => assert!(!before.is_before_hook(), "one hook at a time"),
            }
        }
    }

    /// In a pod that ends, what runs beside the others is asked to end when those it serves have ended, or it is late.
    fn check_end(&self, index: usize) {
        let is_timely = self.machine.stop.as_ref().is_some_and(|stop| self.now < stop.deadline);
        if !is_timely || self.machine.containers[index].plan().role != Role::Sidecar {
            return;
        }
        for (other, container) in self.machine.containers.iter().enumerate() {
            let is_served = match container.plan().role {
                Role::Main | Role::Init => true,
                Role::Sidecar => other > index,
                Role::Ephemeral => false,
            };
            assert!(!is_served || self.doing[other].is_none(), "{other} is still served by {index}");
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
        let moment = Duration::from_secs(if after.is_lost { 0 } else { 2 });
        if let Some(stop) = after.stop.as_ref().filter(|stop| add(stop.deadline, moment) <= self.now) {
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
            let is_known = |container: &ContainerMachine| container.last().is_some();
            assert!(after.containers.iter().filter(|container| container.has_run()).all(is_known));
            let own = after.own_containers().filter(|_| after.is_initialized());
            assert!({ own }.all(is_known), "each end has a code");
        }
        if let Some(wake_at) = after.wake_at() {
            assert!(wake_at > self.now, "what is due is done: {after:?}");
        }
        assert!(!after.is_finished() || self.doing.iter().all(Option::is_none));
        let ready = after.conditions.iter().find(|condition| condition.name == "Ready");
        let lasting = after.containers.iter().zip(&self.doing);
        let mut lasting = lasting.filter(|(one, _)| matches!(one.plan().role, Role::Main | Role::Sidecar));
        let all_run = lasting.all(|(_, doing)| matches!(doing, Some((Doing::Running, _))));
        let is_ready = ready.is_some_and(|ready| ready.holds);
        assert!(!is_ready || all_run, "only what runs is ready");
        let is_plain = |container: &ContainerPlan| {
            container.probes == Probes::default() && container.hooks == Hooks::default()
        };
        assert!(
            !all_run || is_ready || !after.plan.containers.iter().all(is_plain),
            "without probes, what runs is ready"
        );
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

fn plan(roles: &[Role], restart_policy: RestartPolicy) -> PodPlan {
    let container = |(index, role): (usize, &Role)| ContainerPlan {
        name: format!("c{index}"),
        image: "localhost/web".into(),
        role: *role,
        restarts: if *role == Role::Sidecar { RestartPolicy::Always } else { restart_policy }.into(),
        ..ContainerPlan::default()
    };
    PodPlan {
        key: Key::new("n", "p"),
        uid: "u".into(),
        generation: None,
        grace: Duration::from_secs(30),
        deletion: None,
        active_deadline: (restart_policy == RestartPolicy::Never).then(|| Duration::from_secs(60)),
        containers: roles.iter().enumerate().map(container).collect(),
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

fn explore_all(roles: &[Role], to_add: usize, length: usize, change: impl Fn(&mut PodPlan)) {
    for policy in POLICIES {
        let mut plan = plan(roles, policy);
        change(&mut plan);
        let seen = explore(plan, to_add, length);
        assert!(seen > 1000, "{policy:?}: {seen}");
    }
}

#[test]
fn promises_hold_in_every_history_of_one_container() {
    explore_all(&[Role::Main], 0, 11, |_| {});
}

#[test]
fn promises_hold_in_every_history_of_two_containers() {
    explore_all(&[Role::Main, Role::Main], 0, 9, |_| {});
}

#[test]
fn promises_hold_in_every_history_of_a_container_and_one_that_is_added() {
    explore_all(&[Role::Main], 1, 9, |_| {});
}

#[test]
fn promises_hold_in_every_history_of_what_comes_first() {
    explore_all(&[Role::Init, Role::Main], 0, 10, |_| {});
    explore_all(&[Role::Sidecar, Role::Main], 0, 8, |_| {});
    explore_all(&[Role::Sidecar, Role::Init, Role::Main], 0, 8, |_| {});
}

#[test]
fn promises_hold_in_every_history_of_hooks() {
    let hooked = |plan: &mut PodPlan| plan.containers[0].hooks = Hooks { post_start: true, pre_stop: true };
    explore_all(&[Role::Main], 0, 10, hooked);
    explore_all(&[Role::Sidecar, Role::Main], 0, 8, hooked);
}

#[test]
fn promises_hold_in_every_history_of_probes() {
    let probed = |plan: &mut PodPlan| plan.containers[0].probes = Probes { startup: true, readiness: true };
    explore_all(&[Role::Main], 0, 10, probed);
    explore_all(&[Role::Sidecar, Role::Main], 0, 8, probed);
}
