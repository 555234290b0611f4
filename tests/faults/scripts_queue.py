"""Pods that Kueue holds in a queue."""

from __future__ import annotations

from aiohttp import web

from .scripts import Proceed, Script, is_create


class Queued(Script):
    """Kueue's webhook adds its gates to each new pod, and nothing admits it."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if is_create(request):
            pod = await request.json()
            pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
            return web.json_response(await self.pods.add(pod), status=201)
        return await proceed(request)
