"""shared/file-transfer/uploads and what lies in the downloads folder afterwards."""
import re
from dataclasses import dataclass, field

from .clock import Clock, micros
from .options import Options
from .wire import Denied, Json, Request, strict

FOLDERS = {"uploads": "/var/config/rest/downloads", "bulk": "/var/config/rest/bulk"}
RANGE = re.compile(r"(\d+)-(\d+)/(\d+)")
NAME = re.compile(r"[A-Za-z0-9._-]+")
BIGGEST_FILE = 64 << 20


@dataclass
class Part:
    total: int
    chunks: dict[int, int] = field(default_factory=dict)  # start -> length
    content: bytearray = field(default_factory=bytearray)


class Uploads:
    def __init__(self, clock: Clock, options: Options) -> None:
        self.clock, self.options = clock, options
        self.files: dict[str, bytes] = {}  # by path on the device
        self.parts: dict[str, Part] = {}

    def receive(self, folder: str, name: str, request: Request) -> Json:
        """One chunk. The file appears when all of it is there; the same name again overwrites."""
        if not NAME.fullmatch(name) or name.endswith(".iso"):
            raise Denied(400, f"simulator: {name} is no name for a file")
        if request.headers.get("content-type", "").split(";")[0] != "application/octet-stream":
            raise Denied(400, "simulator: an upload is application/octet-stream")
        start, total = self.read_range(request)
        path = f"{FOLDERS[folder]}/{name}"
        if start == 0:
            self.parts[path] = Part(total)
        part = self.parts.get(path)
        if part is None or part.total != total or start != len(part.content):
            raise Denied(400, f"simulator: the chunk at {start} of {total} does not continue {name}")
        part.content += request.body
        part.chunks[start] = len(request.body)
        if len(part.content) == total:
            self.files[path] = bytes(part.content)
            del self.parts[path]
        return {"remainingByteCount": total - len(part.content),
                "usedChunks": {str(at): length for at, length in part.chunks.items()}, "totalByteCount": total,
                "localFilePath": path, "temporaryFilePath": f"{FOLDERS[folder]}/tmp/{name}", "generation": 0,
                "lastUpdateMicros": micros(self.clock.now())}

    def read_range(self, request: Request) -> tuple[int, int]:
        """Start and total; `start-endInclusive/total`, without the word bytes."""
        text = request.headers.get("content-range")
        if text is None:
            if self.options.strict_content_range:
                raise strict("an upload without Content-Range")
            return 0, len(request.body)
        match = RANGE.fullmatch(text)
        if match is None:
            raise Denied(400, f"simulator: Content-Range {text} is not START-END/TOTAL")
        start, end, total = map(int, match.groups())
        if end - start + 1 != len(request.body):
            raise Denied(400, f"Chunk byte count {end - start + 1} different from received buffer length "
                              f"{len(request.body)}")
        if end >= total or total > BIGGEST_FILE or len(request.body) > self.options.chunk_limit:
            raise Denied(400, f"simulator: Content-Range {text} is out of bounds")
        return start, total

    def remove(self, arguments: str) -> str:
        """util/unix-rm: what it prints, which is an error when it begins with /bin/rm."""
        path = arguments.split()[-1] if arguments.split() else ""
        if self.files.pop(path, None) is not None or "-f" in arguments.split()[:-1]:
            return ""
        return f"/bin/rm: cannot remove '{path}': No such file or directory\n"
