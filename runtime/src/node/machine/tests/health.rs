//! Rows of hooks, and of what probes find out.

use super::*;
use crate::node::plan::{Hooks, Probes};

fn begun(containers: &[(&str, Role, Hooks, Probes)]) -> Trial {
    let parse = |(name, role, hooks, probes): &(&str, Role, Hooks, Probes)| ContainerPlan {
        hooks: *hooks,
        probes: *probes,
        ..container(name, *role, RestartPolicy::Always)
    };
    let plan =
        PodPlan { containers: containers.iter().map(parse).collect(), ..plan(RestartPolicy::Always, &[]) };
    let mut trial = Trial::of(plan, Former::default());
    trial.tell(Event::Woken);
    trial
}

const NO_HOOKS: Hooks = Hooks { post_start: false, pre_stop: false };
const BOTH: Hooks = Hooks { post_start: true, pre_stop: true };
const STOP: Hooks = Hooks { post_start: false, pre_stop: true };
const NO_PROBES: Probes = Probes { startup: false, readiness: false };
const PROBED: Probes = Probes { startup: true, readiness: true };

impl Trial {
    fn hook(&mut self, container: usize, hook: Hook, answer: Result<(), &str>) -> Vec<String> {
        let answer = answer.map_err(str::to_owned);
        self.tell(Event::Hooked(container, self.attempts[container], hook, answer))
    }

    fn find(&mut self, container: usize, finding: Finding) -> Vec<String> {
        self.tell(Event::Found(container, self.attempts[container], finding))
    }
}

fn failing(grace: Option<u64>) -> Finding {
    let message = "Container web failed liveness probe".to_owned();
    Finding::Failing { message, grace: grace.map(Duration::from_secs) }
}

#[test]
fn a_container_counts_as_running_when_its_hook_has_ended() {
    let mut trial = begun(&[("web", Role::Main, BOTH, NO_PROBES), ("next", Role::Main, NO_HOOKS, NO_PROBES)]);
    assert_eq!(trial.summary(), "Pending web:hooked/0 next:New/0", "the next waits for it");
    assert!(!trial.machine.containers()[0].is_running());
    trial.hook(0, Hook::PostStart, Ok(()));
    assert_eq!(trial.summary(), "Running web:running/0 next:running/0");
}

#[test]
fn a_container_whose_first_hook_fails_is_ended_and_comes_back() {
    let mut trial = begun(&[("web", Role::Main, BOTH, NO_PROBES)]);
    let expected = ["FailedPostStartHook: PostStartHook failed", "Killing: FailedPostStartHook", "PreStop 0"];
    assert_eq!(trial.hook(0, Hook::PostStart, Err("secret")), expected);
    assert_eq!(trial.hook(0, Hook::PreStop, Ok(())), ["Terminate(0)"]);
    trial.exit(0, 143);
    assert_eq!(trial.summary(), "Running web:hooked/1");
    trial.hook(0, Hook::PostStart, Err("secret"));
    trial.hook(0, Hook::PreStop, Ok(()));
    trial.exit(0, 143);
    assert_eq!(trial.summary(), "Running web:CrashLoopBackOff/1");
}

#[test]
fn the_last_hook_runs_within_the_grace() {
    let mut trial = begun(&[("web", Role::Main, STOP, NO_PROBES)]);
    assert_eq!(trial.delete(30), ["Killing: Stopping container web", "PreStop 0"]);
    assert_eq!(trial.wait(20), [""; 0]);
    assert_eq!(
        trial.hook(0, Hook::PreStop, Err("no")),
        ["FailedPreStopHook: PreStopHook failed", "Drain", "Terminate(0)"]
    );
    assert_eq!(trial.wait(10), ["Kill(0)"]);

    let mut trial = begun(&[("web", Role::Main, STOP, NO_PROBES)]);
    trial.delete(30);
    assert_eq!(trial.wait(31), ["Drain", "Terminate(0)"], "the hook took all of it");
    assert_eq!(trial.hook(0, Hook::PreStop, Err("late")), [""; 0]);
    assert_eq!(trial.wait(1), ["Kill(0)"], "two seconds are always left");

    let mut trial = begun(&[("web", Role::Main, STOP, NO_PROBES)]);
    trial.delete(30);
    assert_eq!(trial.tell(Event::Gone), ["Drain", "Terminate(0)", "Kill(0)"], "nobody waits for it any more");
}

#[test]
fn the_last_hooks_of_sidecars_do_not_wait_for_their_turn() {
    let mut trial = begun(&[("side", Role::Sidecar, STOP, NO_PROBES), ("web", Role::Main, STOP, NO_PROBES)]);
    let actions = trial.delete(30);
    assert_eq!(actions[1], "PreStop 1");
    assert_eq!(actions[3], "PreStop 0");
    assert_eq!(trial.hook(0, Hook::PreStop, Ok(())), [""; 0]);
    assert_eq!(trial.hook(1, Hook::PreStop, Ok(())), ["Drain", "Terminate(1)"]);
    assert_eq!(trial.exit(1, 143), ["Terminate(0)"]);
}

#[test]
fn probes_say_when_a_container_has_started_and_is_ready() {
    let mut trial = begun(&[("web", Role::Main, NO_HOOKS, PROBED)]);
    assert_eq!(trial.summary(), "Running web:starting/0");
    trial.find(0, Finding::Ready(true));
    assert_eq!(trial.summary(), "Running web:starting/0", "first it has to start");
    trial.find(0, Finding::Started);
    assert_eq!(trial.summary(), "Running web:unready/0");
    assert!(!condition(&trial.machine, "Ready"));
    trial.find(0, Finding::Ready(true));
    assert!(condition(&trial.machine, "Ready"));
    trial.find(0, Finding::Ready(false));
    assert!(!condition(&trial.machine, "Ready"));
    trial.exit(0, 1);
    assert_eq!(trial.summary(), "Running web:starting/1", "what was found is forgotten");
}

#[test]
fn what_runs_beside_others_holds_them_until_it_has_started() {
    let mut trial =
        begun(&[("side", Role::Sidecar, NO_HOOKS, PROBED), ("web", Role::Main, NO_HOOKS, NO_PROBES)]);
    assert_eq!(trial.summary(), "Pending side:starting/0 web:New/0");
    trial.find(0, Finding::Started);
    assert_eq!(trial.summary(), "Running side:unready/0 web:running/0");
    assert!(!condition(&trial.machine, "ContainersReady"));
}

#[test]
fn what_fails_its_probes_is_ended_and_comes_back() {
    let mut trial = begun(&[("web", Role::Main, NO_HOOKS, NO_PROBES)]);
    let killing = "Killing: Container web failed liveness probe, will be restarted";
    assert_eq!(trial.find(0, failing(Some(5))), [killing, "Terminate(0)"]);
    assert_eq!(trial.find(0, failing(Some(1))), [""; 0], "once is enough");
    assert_eq!(trial.wait(5), ["Kill(0)"]);
    trial.exit(0, 137);
    assert_eq!(trial.summary(), "Running web:running/1");
    let stale = Event::Found(0, 1, failing(None));
    assert_eq!(trial.tell(stale), [""; 0]);
    for (ran_for, expected) in
        [(30, "running/2"), (30, "running/3"), (30, "running/4"), (30, "CrashLoopBackOff/4")]
    {
        trial.wait(ran_for);
        trial.find(0, failing(None));
        trial.exit(0, 143);
        assert_eq!(
            trial.summary(),
            format!("Running web:{expected}"),
            "waits count from the end before the last"
        );
    }
    assert_eq!(trial.wait(9), [""; 0]);
    assert_ne!(trial.wait(1), [""; 0], "40 seconds after the end before");
}

#[test]
fn what_fails_its_probes_and_may_not_run_again_fails_its_pod() {
    let mut plan = plan(RestartPolicy::Never, &["web"]);
    plan.containers[0].probes = PROBED;
    let mut trial = Trial::of(plan, Former::default());
    trial.tell(Event::Woken);
    assert_eq!(trial.find(0, failing(None))[0], "Killing: Container web failed liveness probe");
    assert_eq!(trial.exit(0, 0), ["Release"]);
    assert_eq!(trial.summary(), "Succeeded web:ended=0/0");
}
