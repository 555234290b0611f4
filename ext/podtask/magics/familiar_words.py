"""Options and commands that users know from kubectl, docker and SkyPilot, with what does the same here."""

from __future__ import annotations

VOLUMES = 'Mount it with the template: PodTemplate().with_(pvc("claim", "/path")), or -t pod.yaml.'
SECRETS = 'Add it to the template: PodTemplate().with_(secret("name", "/path")) or env_from_secret("name", KEY="key").'
METADATA = 'Add them to the template: PodTemplate(labels={"team": "a"}, annotations={...}).'
SCHEDULING = 'Set it in the pod spec of the template: -t pod.yaml, or PodTemplate({"nodeSelector": ..., "tolerations": [...]}).'
SIDECAR = 'Add it to the template: PodTemplate().with_(sidecar("redis", "redis:7")).'
SERVICE_ACCOUNT = 'Add it to the template: PodTemplate().with_(service_account("name")).'
# Option -> what to write instead.
OPTIONS: dict[str, str] = {
    **dict.fromkeys(("--requests", "--request", "--resources"), "Write --cpu 2 --memory 8Gi --gpu 1."),
    **dict.fromkeys(("--gpus", "--accelerators"), "Write --gpu N."),
    **dict.fromkeys(("--cpus",), "Write --cpu N."),
    **dict.fromkeys(("-m",), "Write --memory 8Gi."),
    **dict.fromkeys(("--shm-size",), "Write --shm 2Gi."),
    **dict.fromkeys(("-v", "--volume", "--volumes", "--mount", "--pvc", "--claim"), VOLUMES),
    **dict.fromkeys(("--secret", "--secrets", "--env-from", "--configmap"), SECRETS),
    **dict.fromkeys(("-l", "--label", "--labels", "--annotation", "--annotations"), METADATA),
    **dict.fromkeys(
        (
            *("--node-selector", "--nodeselector", "--node", "--affinity", "--toleration", "--tolerations"),
            *("--priority", "--priority-class", "--runtime-class"),
        ),
        SCHEDULING,
    ),
    **dict.fromkeys(("--sidecar", "--container"), SIDECAR),
    **dict.fromkeys(("--serviceaccount", "--service-account", "--sa"), SERVICE_ACCOUNT),
    **dict.fromkeys(("--overrides", "-f", "--filename", "--file"), "Write -t pod.yaml."),
    **dict.fromkeys(
        ("-e", "--env-file", "--envs"), "Write --env NAME=VALUE, or --env NAME for the notebook's value."
    ),
    **dict.fromkeys(("-r",), "Write --requirements FILE."),
    **dict.fromkeys(("-p", "--package", "--packages", "--install"), "Write --pip NAME."),
    **dict.fromkeys(("--ns",), "Write -n NAME."),
    **dict.fromkeys(("--rm",), "Leave it out: podtask deletes the pod when its values have arrived."),
    **dict.fromkeys(("--tty", "--stdin", "--attach"), "Leave it out: output and input() are connected."),
    **dict.fromkeys(("--command", "--args", "--cmd"), "Write the command in the cell: !command"),
    **dict.fromkeys(("--background", "--detach-run", "--no-wait", "--async"), "Write -d."),
    **dict.fromkeys(("--restart", "--max-retries"), "Write --retries N."),
    **dict.fromkeys(("--cluster",), "Write --context NAME, or --session NAME for a pod that stays."),
    **dict.fromkeys(("--idle-minutes-to-autostop", "--autostop"), "Write --session NAME --idle 30m."),
}
# Command -> the command or cell that does the same.
COMMANDS: dict[str, str] = {
    **dict.fromkeys(
        ("ps", "get", "jobs", "queue", "status", "ls", "pods", "tasks"), "%podtask list lists the tasks."
    ),
    **dict.fromkeys(("log", "tail"), "%podtask logs NAME prints the log of a task."),
    **dict.fromkeys(
        ("describe", "events", "explain"),
        "%podtask why NAME explains what a task waits for; the line under its cell unfolds to its events and its pod.",
    ),
    **dict.fromkeys(
        ("top", "show-gpus", "gpus", "nodes"),
        "%podtask why NAME shows what is free; the line under a cell unfolds to the CPU and memory used.",
    ),
    **dict.fromkeys(("rm", "remove"), "%podtask delete NAME deletes a task and its result."),
    **dict.fromkeys(("stop", "kill", "interrupt"), "%podtask cancel NAME stops a running task."),
    **dict.fromkeys(("down",), "%podtask end NAME ends a session, %podtask cancel NAME a running task."),
    **dict.fromkeys(("prune", "clean", "cleanup"), "%podtask gc deletes your finished pods."),
    **dict.fromkeys(
        ("exec", "ssh", "sh", "bash"),
        "%podtask shell NAME -- COMMAND runs a command in the container of a task.",
    ),
    **dict.fromkeys(
        ("apply", "create", "run", "launch", "submit", "start"),
        "%%podtask -t pod.yaml above a cell runs it in such a pod.",
    ),
    **dict.fromkeys(
        ("wait", "follow", "watch", "connect"), "%podtask attach NAME follows a task to its end."
    ),
    **dict.fromkeys(
        ("cp", "rsync", "pull", "push"),
        "%%podtask -i NAMES sends variables to the pod, and -o NAMES brings them back.",
    ),
    **dict.fromkeys(
        ("port-forward", "proxy", "expose"),
        "%podtask shell NAME prints the kubectl line of a task; `kubectl port-forward` takes the same pod.",
    ),
    **dict.fromkeys(("autostop",), "%podtask extend NAME TIME lets a session live longer."),
    **dict.fromkeys(
        ("sessions", "variables", "vars", "who"),
        "%podtask list lists the sessions, and %podtask names NAME the variables of one.",
    ),
    **dict.fromkeys(
        ("check", "info", "version", "diagnose", "can-i", "auth"),
        "%podtask doctor checks versions, the cluster, your rights and the image.",
    ),
    **dict.fromkeys(
        ("settings", "options", "context", "namespace", "set"),
        "%podtask config shows context, namespace and settings; %%podtask --help lists the options of a cell.",
    ),
    **dict.fromkeys(("role", "rights", "permissions"), "%podtask rbac prints the Role that cells need."),
    **dict.fromkeys(
        ("template", "edit"),
        "%podtask templates lists the templates; podtask_widgets.TemplateBuilder() edits one.",
    ),
    **dict.fromkeys(("debug",), "%podtask verbose switches the debug log on."),
}
