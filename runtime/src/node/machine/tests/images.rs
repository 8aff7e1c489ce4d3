//! What a container does about its image.

use super::*;

#[test]
fn an_image_that_cannot_be_pulled_is_tried_again_later_each_time() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.images_missing = true;
    let failed = [
        "Prepare 0",
        "Pulling: Pulling image \"localhost/web:v1\"",
        "Failed: Failed to pull image \"localhost/web:v1\": no such image",
        "Failed: Error: ErrImagePull",
    ];
    let backs_off =
        ["BackOff: Back-off pulling image \"localhost/web:v1\"", "Failed: Error: ImagePullBackOff"];
    assert_eq!(trial.tell(Event::Woken)[3..], failed);
    for seconds in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(trial.summary(), "Pending web:ErrImagePull/0");
        assert_eq!(trial.wait(2), backs_off);
        assert_eq!(trial.summary(), "Pending web:ImagePullBackOff/0");
        assert_eq!(trial.wait(seconds - 3), [""; 0]);
        assert_eq!(trial.wait(1), failed);
    }
    let State::Waiting { message, .. } = trial.machine.containers()[0].state() else { panic!() };
    assert_eq!(message, "failed to pull image \"localhost/web:v1\": no such image");
    trial.images_missing = false;
    trial.wait(300);
    assert_eq!(trial.summary(), "Running web:running/0");
}

#[test]
fn another_image_need_not_wait_for_one_that_failed() {
    let mut trial = Trial::new(RestartPolicy::Always, &["web"]);
    trial.images_missing = true;
    trial.tell(Event::Woken);
    trial.wait(5);
    trial.images_missing = false;
    let mut plan = trial.machine.plan.clone();
    plan.containers[0].image = "localhost/web:v2".into();
    trial.tell(Event::Changed(plan));
    assert_eq!(trial.summary(), "Running web:running/0");
}

#[test]
fn what_is_known_of_a_pull_is_told() {
    let trial = Trial::new(RestartPolicy::Always, &["web"]);
    let mut plan = trial.machine.plan.clone();
    plan.containers[0].image = "ghcr.io/a/b".into();
    let mut machine = PodMachine::new(plan, Former::default(), trial.now);
    for event in [
        Event::Woken,
        Event::Admitted(Ok(())),
        Event::Attached(Ok([10, 128, 0, 1].into())),
        Event::Mounted(Ok(())),
    ] {
        machine.handle(event, trial.now);
    }
    let mut told = |news| {
        let actions = machine.handle(Event::Image(0, 1, news), trial.now);
        actions.iter().map(in_words).collect::<Vec<_>>()
    };
    assert_eq!(
        told(ImageNews::Pulling { missing_secrets: vec!["a".into(), "b".into()] }),
        [
            "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (a, b); attempting to pull \
             the image may not succeed.",
            "Pulling: Pulling image \"ghcr.io/a/b\""
        ]
    );
    let pulled = Pulled {
        took: Duration::from_millis(1200),
        with_waiting: Duration::from_micros(61_250_900),
        size_bytes: 123,
    };
    assert_eq!(
        told(ImageNews::Pulled(pulled)),
        [
            "Pulled: Successfully pulled image \"ghcr.io/a/b\" in 1.2s (1m1.25s including waiting). Image size: 123 bytes."
        ]
    );
}
