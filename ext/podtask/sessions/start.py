"""Start the pod or process of a session."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..backends.base import Backend
from ..channel.channel import Channel
from ..channel.job import Job
from ..errors import NameTaken
from ..event_loop import ignore_result
from ..lifecycle.interfaces import TaskListener
from ..lifecycle.prepare import PreparedCell
from ..lifecycle.start import NewRunner
from ..manifest import owner_secrets
from ..manifest.identity import Identity
from ..manifest.pod_manifest import PodManifest
from ..manifest.session_pod import SessionRecord, session_pod_name

if TYPE_CHECKING:
    from ..backends.pod import Pod
    from ..manage.session_pods import SessionPod

ONLY_HERE = "The key of session {session} is not in a Secret: {why}. Only kernels with this home folder can go on with it."
ChannelMaker = Callable[[Backend, str, str, TaskListener], Channel]


class SessionExists(Exception):
    """Another kernel of the user has just started the session.

    Args:
        found: Its pod.
    """

    def __init__(self, found: SessionPod) -> None:
        self.found = found


class SessionStart(NewRunner):
    """Starts the runner of a session. Its pod outlives the notebook; all kernels of the user give it the same name.

    Args:
        prepared: The first cell.
        session: Name of the session.
        record: What the pod says of it.
        newest_uid: UID of the newest pod of the session, which has ended; empty if there is none.
        channel_for: Returns the channel to a runner with a key and an owner's secret.
    """

    outlives_notebook = True

    def __init__(
        self,
        prepared: PreparedCell,
        session: str,
        record: SessionRecord,
        newest_uid: str,
        channel_for: ChannelMaker,
    ) -> None:
        super().__init__(prepared)
        self._session = session
        self._record = record
        self._newest_uid = newest_uid
        self._channel_for = channel_for

    def _channel(
        self, backend: Backend, identity: Identity, job_for: Callable[[str], Job], listener: TaskListener
    ) -> Channel:
        return self._channel_for(backend, identity.key, identity.secret, listener)

    def _save_secret(self, identity: Identity) -> bool:
        return True  # it is derived

    @property
    def _unstamped(self) -> PodManifest:
        return self._prepared.manifest.for_session(self._session, self._record)

    async def _with_user_and_owner(self, identity: Identity, listener: TaskListener) -> Identity:
        # Start-up cost: a local run needs no client library.
        from ..cluster.namespace import open_namespace

        known = await super()._with_user_and_owner(identity, listener)
        ns = await open_namespace(self.options.context, self.options.namespace)
        name = session_pod_name(known.user, ns.name, self._session, self._newest_uid)
        secret = await asyncio.to_thread(owner_secrets.session_secret, name, known.key)
        alias = known.alias or self._session
        self._identity = dataclasses.replace(known, name=name, secret=secret, alias=alias)
        return self._identity

    async def _create_pod(self, manifest: PodManifest, listener: TaskListener) -> Pod:
        try:
            pod = await super()._create_pod(manifest, listener)
        except NameTaken:
            await self._find_other(manifest)
            raise
        ignore_result(asyncio.ensure_future(self._keep_secret(pod, self._identity, listener)))
        return pod

    async def _find_other(self, manifest: PodManifest) -> None:
        """Find out which pod has the name of the session's.

        Raises:
            SessionExists: Another kernel has just started the session.
            PodtaskError: The pod cannot be read, or is not the user's.
        """
        # Start-up cost: a local run needs no client library.
        from ..cluster.namespace import open_namespace
        from ..manage.session_pods import read_session_pod
        from ..manage.user import current_user

        ns = await open_namespace(self.options.context, self.options.namespace)
        user = await current_user(ns)
        pods = await read_session_pod(ns, manifest.name, self._session, user, self.options)
        if pods.running is not None:
            raise SessionExists(pods.running)
        self._newest_uid = pods.newest_uid or self._newest_uid

    async def _keep_secret(self, pod: Pod, identity: Identity, listener: TaskListener) -> None:
        """Keep the owner's secret in the cluster, for kernels with another home folder."""
        why = await pod.create_session_secret(identity)
        if why:
            listener.on_notice(ONLY_HERE.format(session=self._session, why=why))
