//! Rows of containers that come before the others, and of those that run beside them.

use super::*;

/// A pod of `containers`: `name` is one of its own, `name!` comes before the others, `name&` runs beside them.
fn pod(policy: RestartPolicy, containers: &[&str]) -> PodPlan {
    let parse = |text: &&str| match (text.strip_suffix('!'), text.strip_suffix('&')) {
        (Some(name), _) => container(name, Role::Init, policy),
        (_, Some(name)) => container(name, Role::Sidecar, RestartPolicy::Always),
        _ => container(text, Role::Main, policy),
    };
    PodPlan { containers: containers.iter().map(parse).collect(), ..plan(policy, &[]) }
}

fn begun(policy: RestartPolicy, containers: &[&str]) -> Trial {
    let mut trial = Trial::of(pod(policy, containers), Former::default());
    trial.tell(Event::Woken);
    trial
}

fn message<'a>(trial: &'a Trial, name: &str) -> &'a str {
    &trial.machine.conditions().iter().find(|condition| condition.name == name).unwrap().message
}

#[test]
fn what_comes_first_runs_one_after_the_other() {
    let mut trial = begun(RestartPolicy::Always, &["a!", "b!", "web"]);
    assert_eq!(trial.summary(), "Pending a:running/0 b:New/0 web:New/0");
    assert!(trial.machine.is_settled());
    assert!(!condition(&trial.machine, "Initialized"));
    assert_eq!(message(&trial, "Initialized"), "containers with incomplete status: [a b]");
    assert_eq!(message(&trial, "Ready"), "containers with unready status: [web]");
    let actions = trial.exit(0, 0);
    assert_eq!(actions[0], "Prepare 1");
    assert_eq!(trial.summary(), "Pending a:ended=0/0 b:running/0 web:New/0");
    assert_eq!(message(&trial, "Initialized"), "containers with incomplete status: [b]");
    trial.exit(1, 0);
    assert_eq!(trial.summary(), "Running a:ended=0/0 b:ended=0/0 web:running/0");
    assert!(condition(&trial.machine, "Initialized") && condition(&trial.machine, "Ready"));
    trial.exit(2, 1);
    assert_eq!(trial.summary(), "Running a:ended=0/0 b:ended=0/0 web:running/1");
}

#[test]
fn what_comes_first_is_tried_until_it_succeeds_if_the_policy_lets_it() {
    for policy in [RestartPolicy::Always, RestartPolicy::OnFailure] {
        let mut trial = begun(policy, &["a!", "web"]);
        trial.exit(0, 1);
        assert_eq!(trial.summary(), "Pending a:running/1 web:New/0");
        trial.exit(0, 1);
        assert_eq!(trial.summary(), "Pending a:CrashLoopBackOff/1 web:New/0");
        trial.wait(10);
        trial.exit(0, 0);
        assert_eq!(trial.summary(), "Running a:ended=0/2 web:running/0");
    }
}

#[test]
fn a_pod_whose_first_container_fails_for_good_fails() {
    let mut trial = begun(RestartPolicy::Never, &["side&", "a!", "web"]);
    let actions = trial.exit(1, 3);
    assert_eq!(actions, ["Drain", "Killing: Stopping container side", "Terminate(0)"]);
    assert_eq!(trial.exit(0, 143), ["Release"]);
    assert_eq!(trial.summary(), "Failed side:ended=143/0 a:ended=3/0 web:never/0");
    assert!(!condition(&trial.machine, "Initialized"));
}

#[test]
fn what_runs_beside_others_starts_before_them_and_ends_after_them() {
    let mut trial = begun(RestartPolicy::Never, &["a&", "b&", "job"]);
    assert_eq!(trial.summary(), "Running a:running/0 b:running/0 job:running/0");
    assert_eq!(
        trial.exit(2, 0),
        ["Drain", "Killing: Stopping container b", "Terminate(1)", "Killing: Stopping container a"]
    );
    assert_eq!(trial.machine.phase(), Phase::Running);
    assert_eq!(trial.exit(1, 143), ["Terminate(0)"]);
    assert_eq!(trial.exit(0, 143), ["Release"]);
    assert_eq!(trial.summary(), "Succeeded a:ended=143/0 b:ended=143/0 job:ended=0/0");
}

#[test]
fn what_runs_beside_others_runs_again_whatever_the_policy() {
    let mut trial = begun(RestartPolicy::Never, &["side&", "a!", "web"]);
    trial.exit(0, 0);
    assert_eq!(trial.summary(), "Pending side:running/1 a:running/0 web:New/0");
    trial.exit(0, 1);
    assert_eq!(trial.summary(), "Pending side:CrashLoopBackOff/1 a:running/0 web:New/0");
    trial.exit(1, 0);
    assert_eq!(
        trial.summary(),
        "Running side:CrashLoopBackOff/1 a:ended=0/0 web:running/0",
        "it has started once: nobody waits for it again"
    );
    assert_eq!(message(&trial, "ContainersReady"), "containers with unready status: [side]");
    assert!(condition(&trial.machine, "Initialized"));
    trial.wait(10);
    assert!(condition(&trial.machine, "ContainersReady"));
}

#[test]
fn a_sidecar_left_late_still_has_a_moment_to_end() {
    let mut trial = begun(RestartPolicy::Always, &["side&", "web"]);
    let actions = trial.delete(30);
    assert_eq!(
        actions,
        ["Drain", "Killing: Stopping container web", "Terminate(1)", "Killing: Stopping container side"]
    );
    assert_eq!(trial.wait(30), ["Kill(1)", "Terminate(0)"]);
    assert_eq!(trial.exit(1, 137), [""; 0]);
    assert_eq!(trial.wait(2), ["Kill(0)"]);
    assert_eq!(trial.exit(0, 137), ["Release", "Remove"]);
}

#[test]
fn a_pod_deleted_on_the_way_never_begins_the_rest() {
    let mut trial = begun(RestartPolicy::Always, &["a!", "b!", "web"]);
    assert_eq!(trial.delete(30)[1..], ["Killing: Stopping container a", "Terminate(0)"]);
    assert_eq!(trial.exit(0, 143), ["Release", "Remove"]);
    assert_eq!(trial.summary(), "Failed a:ended=143/0 b:never/0 web:never/0");
    let mut trial = begun(RestartPolicy::Always, &["a!", "web"]);
    trial.exit(0, 0);
    trial.delete(30);
    trial.exit(1, 143);
    assert_eq!(trial.summary(), "Failed a:ended=0/0 web:ended=143/0");
}

#[test]
fn what_is_added_does_not_wait_for_what_comes_first() {
    let mut trial = begun(RestartPolicy::Never, &["a!", "web"]);
    trial.add("shell", None);
    assert_eq!(trial.summary(), "Pending a:running/0 web:New/0 shell:running/0");
    trial.exit(0, 1);
    trial.exit(2, 143);
    assert_eq!(trial.summary(), "Failed a:ended=1/0 web:never/0 shell:ended=143/0");
}

#[test]
fn after_a_restart_of_the_node_what_is_done_is_not_done_again() {
    let time = "2025-12-31T00:00:00Z".parse().unwrap();
    let ran = |code: Option<i32>| FormerContainer {
        running_since: code.is_none().then_some(time),
        last: code.map(|code| Termination {
            code,
            reason: String::new(),
            message: String::new(),
            started: time,
            finished: time,
        }),
        ..FormerContainer::default()
    };
    let new = FormerContainer::default;
    let check = |policy, formers: [FormerContainer; 4], expected: &str| {
        let former = Former { ended: None, start_time: Some(time), containers: formers.to_vec() };
        let mut trial = Trial::of(pod(policy, &["a!", "side&", "b!", "web"]), former);
        trial.tell(Event::Woken);
        assert_eq!(trial.summary(), expected);
    };
    let always = RestartPolicy::Always;
    let expected = "Pending a:ended=0/0 side:running/1 b:running/1 web:New/0";
    check(always, [ran(Some(0)), ran(None), ran(None), new()], expected);
    let expected = "Running a:ended=0/0 side:running/1 b:ended=0/0 web:running/1";
    check(always, [ran(Some(0)), ran(None), ran(Some(0)), ran(None)], expected);
    let expected = "Running a:never/0 side:running/0 b:never/0 web:running/1";
    check(always, [new(), new(), new(), ran(None)], expected);
    let expected = "Failed a:ended=0/0 side:ended=137/0 b:ended=137/0 web:never/0";
    check(RestartPolicy::Never, [ran(Some(0)), ran(None), ran(None), new()], expected);
}
