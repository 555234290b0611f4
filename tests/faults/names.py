"""The scripts by the names that the command line accepts."""

from __future__ import annotations

from . import scripts, scripts_access, scripts_end, scripts_log, scripts_many, scripts_queue, scripts_watch
from .scripts import Script

SCRIPTS: dict[str, type[Script]] = {
    "plain": Script,
    "lost-reply": scripts.LostReply,
    "stranger": scripts.Stranger,
    "quota-conflict": scripts.QuotaConflict,
    "webhook": scripts.Webhook,
    "busy": scripts.Busy,
    "invisible": scripts_watch.Invisible,
    "muddled": scripts_watch.Muddled,
    "deaf": scripts_watch.Deaf,
    "slow": scripts_watch.Slow,
    "sandboxed": scripts_watch.Sandboxed,
    "silent": scripts_watch.Silent,
    "unready": scripts_watch.Unready,
    "queued": scripts_queue.Queued,
    "idle": scripts_end.Idle,
    "away": scripts_end.Away,
    "evicted-away": scripts_end.EvictedAway,
    "log-refused": scripts_end.LogRefused,
    "log-away": scripts_end.LogAway,
    "log-excuse": scripts_end.LogExcuse,
    "rotated": scripts_end.Rotated,
    "late-reason": scripts_end.LateReason,
    "evicted": scripts_end.Evicted,
    "false-success": scripts_end.FalseSuccess,
    "exec-early": scripts_end.ExecEarly,
    "exec-late": scripts_end.ExecLate,
    "node-silent": scripts_end.NodeSilent,
    "node-lost": scripts_end.NodeLost,
    "rejected": scripts_end.Rejected,
    "phase-unknown": scripts_end.PhaseUnknown,
    "follow-cut": scripts_log.FollowCut,
    "follow-hangs": scripts_log.FollowHangs,
    "follow-ends": scripts_log.FollowEnds,
    "follow-rotates": scripts_log.FollowRotates,
    "pretend": scripts_many.Pretend,
    "crawls": scripts_end.Crawls,
    "hangs": scripts_end.Hangs,
    "taken-away": scripts_access.TakenAway,
    "no-new-streams": scripts_access.NoNewStreams,
    "batch-log-away": scripts_access.BatchLogAway,
}
