"""Partitions and folders, where objects are kept."""
from . import names
from .configuration import Configuration, Entry
from .resource import Change, Resource, folder_exists
from .versions import Version
from .wire import Invalid, Json


class Partitions(Resource):
    """auth/partition; a partition is named without a slash (F5Networks/f5-ansible, load_tm_auth_partition.json)."""
    kind, url, type, word = "partition", "/tm/auth/partition", "tm:auth:partition:partition", "Partition"
    writable = frozenset({"description", "defaultRouteDomain"})

    def create(self, change: Change, body: Json) -> Entry:
        path = f"/{str(body.get('name', '')).strip('/')}"
        if path in ("/", "/Common") or path.count("/") != 1 or change.configuration.find(self.kind, path):
            raise Invalid(409, f"01020066:3: The requested folder ({path}) already exists in partition Common.")
        self.check_properties(change, body)
        return change.put(self.kind, path, {key: body[key] for key in self.writable if key in body})

    def modify(self, change: Change, path: str, body: Json, replace: bool) -> Entry:
        entry = self.existing(change.configuration, self.own_path(path))
        return change.put(self.kind, entry.path, entry.values | {key: body[key] for key in self.writable if key in body})

    def delete(self, change: Change, path: str) -> None:
        entry = self.existing(change.configuration, self.own_path(path))
        for kind in change.configuration.kinds():
            if any(other.partition == names.partition(entry.path) and other is not entry
                   for other in change.configuration.all(kind)):
                raise Invalid(400, f"simulator: the partition {entry.path} is not empty")
        change.remove(entry)

    def existing(self, configuration: Configuration, path: str) -> Entry:
        return super().existing(configuration, self.own_path(path))

    @staticmethod
    def own_path(path: str) -> str:
        """Addresses name a partition as if it lay in Common."""
        return "/" + path.rsplit("/", 1)[1]

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        return {"kind": f"{self.type}state", "name": entry.partition, "fullPath": entry.partition,
                "generation": entry.generation, "selfLink": names.link(f"{self.url}/{entry.partition}", version.text),
                "defaultRouteDomain": 0} | entry.values


class Folders(Resource):
    kind, url, type, word = "folder", "/tm/sys/folder", "tm:sys:folder:folder", "folder"
    writable = frozenset({"description"})

    def make(self, change: Change, path: str, body: Json) -> Entry:
        if not folder_exists(change.configuration, names.folder(path)):
            raise Invalid(404, f"01020036:3: The requested folder ({names.folder(path)}) was not found.")
        return change.put(self.kind, path, {key: body[key] for key in self.writable if key in body})

    def rewrite(self, change: Change, entry: Entry, body: Json, replace: bool) -> Entry:
        return change.put(self.kind, entry.path, {} if replace else entry.values | body)

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        return self.envelope(version, entry) | entry.values


PLACES: tuple[Resource, ...] = (Partitions(), Folders())
