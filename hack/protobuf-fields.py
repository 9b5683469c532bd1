#!/usr/bin/env python3
"""Writes the field table of Kubernetes protobuf messages that kubesim decodes.

    hack/protobuf-fields.py K8S_PB_SRC K8S_OPENAPI_SRC > e2e/kubesim/src/apiserver/protobuf/messages.txt

The arguments are the `src` folders of the crates k8s-pb (field numbers and types) and k8s-openapi (JSON names); fetch
them with cargo. A line of the table is a message: its name, then number:jsonName:kind of each field.
"""

import re
import sys
from pathlib import Path

ROOTS = {
    "api/core/v1": "Namespace ConfigMap Secret ServiceAccount Service Pod Node Event Endpoints Binding "
    "PersistentVolumeClaim ReplicationController ResourceQuota LimitRange",
    "api/apps/v1": "Deployment ReplicaSet StatefulSet DaemonSet",
    "api/batch/v1": "Job CronJob",
    "api/autoscaling/v1": "Scale HorizontalPodAutoscaler",
    "api/autoscaling/v2": "HorizontalPodAutoscaler",
    "api/rbac/v1": "Role ClusterRole RoleBinding ClusterRoleBinding",
    "api/coordination/v1": "Lease",
    "api/discovery/v1": "EndpointSlice",
    "api/events/v1": "Event",
    "api/networking/v1": "Ingress NetworkPolicy",
    "api/policy/v1": "PodDisruptionBudget Eviction",
    "api/scheduling/v1": "PriorityClass",
    "api/authentication/v1": "TokenRequest TokenReview SelfSubjectReview",
    "api/authorization/v1": "SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview",
    "apimachinery/pkg/apis/meta/v1": "DeleteOptions",
}

# Pointers in Go: present means set, whatever the value. Protobuf does not tell, and an encoder in Go writes every
# field that is no pointer, so zeros of all others are taken as not set.
POINTER_BOOLS = set(
    "allowPrivilegeEscalation privileged readOnlyRootFilesystem runAsNonRoot automountServiceAccountToken "
    "enableServiceLinks shareProcessNamespace hostUsers optional controller blockOwnerDeletion immutable "
    "setHostnameAsFQDN suspend orphanDependents allocateLoadBalancerNodePorts serving terminating started".split()
)
POINTER_NUMBERS = set(
    "replicas revisionHistoryLimit progressDeadlineSeconds terminationGracePeriodSeconds activeDeadlineSeconds "
    "runAsUser runAsGroup fsGroup parallelism completions backoffLimit ttlSecondsAfterFinished gracePeriodSeconds "
    "deletionGracePeriodSeconds tolerationSeconds defaultMode mode expirationSeconds minReplicas "
    "stabilizationWindowSeconds averageUtilization leaseDurationSeconds leaseTransitions partition "
    "startingDeadlineSeconds successfulJobsHistoryLimit failedJobsHistoryLimit currentReplicas desiredReplicas".split()
)
PLAIN_STRUCTS = set(
    "metadata spec status template resources strategy updateStrategy state lastState loadBalancer nodeInfo "
    "daemonEndpoints kubeletEndpoint jobTemplate".split()
)


def json_names(openapi: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for file in sorted(openapi.rglob("v1_35/**/*.rs")):
        for name in re.findall(r'^\s*"([A-Za-z$][A-Za-z0-9]*)" => Field::', file.read_text(), re.M):
            names.setdefault(name.lower(), name)
    return names


def parse(pb: Path) -> dict[str, list[tuple[int, str, str]]]:
    messages = {}
    for file in pb.rglob("mod.rs"):
        module = str(file.parent.relative_to(pb))
        for name, body in re.findall(r"pub struct (\w+) \{\n(.*?)\n\}", file.read_text(), re.S):
            code = re.sub(r"^\s*///.*\n?", "", body, flags=re.M)
            code = re.sub(r"^\s*#\[deprecated.*\n?", "", code, flags=re.M)
            fields = []
            for attribute, field, kind in re.findall(r"#\[prost\((.*?)\)\]\s*pub (?:r#)?(\w+):\s*(.*?),\s*(?=#\[|$)", code, re.S):
                number = int(re.search(r'tag\s*=\s*"(\d+)"', attribute).group(1))
                fields.append((number, field, attribute, re.sub(r"\s+", "", kind)))
            messages[f"{module}:{name}"] = fields
    return messages


def target(module: str, kind: str) -> str:
    inner = re.search(r"((?:super::)*)((?:\w+::)*)(\w+)[>,]*$", kind)
    ups, path, name = inner.group(1).count("super"), inner.group(2), inner.group(3)
    parts = module.split("/")
    parts = parts[: len(parts) - ups] + [part for part in path.split("::") if part]
    return f"{'/'.join(parts)}:{name}"


def main() -> None:
    pb, openapi = Path(sys.argv[1]), Path(sys.argv[2])
    names, messages = json_names(openapi), parse(pb)
    wanted = [f"{module}:{name}" for module, kinds in ROOTS.items() for name in kinds.split()]
    done: dict[str, str] = {}

    def kind_of(module: str, json: str, attribute: str, kind: str) -> str:
        repeated = "repeated" in attribute or "Vec<" in kind and "message" in attribute
        if "btree_map" in attribute:
            if "message" in attribute:
                    # Maps of other messages stand in answers only: extra user information, times of a drain.
                return "quantityMap" if "Quantity" in kind else "ignored"
            return "bytesMap" if "bytes" in attribute else "textMap"
        scalar = attribute.split(",")[0].strip()
        if scalar.startswith("string"):
            return "texts" if repeated else "text"
        if scalar.startswith("bytes"):
            return "bytesList" if repeated else "bytes"
        if scalar == "bool":
            return "flag" if json in POINTER_BOOLS else "bool"
        if scalar.startswith(("int", "uint", "sint", "fixed")):
            return "numbers" if repeated else "count" if json in POINTER_NUMBERS else "number"
        if scalar.startswith(("double", "float")):
            return "double"
        last = target(module, kind).split(":")[1]
        special = {"Time": "time", "MicroTime": "microTime", "Quantity": "quantity", "IntOrString": "intOrString",
                   "FieldsV1": "fieldsV1", "RawExtension": "raw"}
        if json == "targetPort":
            return "plainIntOrString"
        if last in special:
            return special[last]
        way = "many" if repeated else "one" if json in PLAIN_STRUCTS else "present"
        return f"{way}>{follow(module, kind)}"

    def follow(module: str, kind: str) -> str:
        name = target(module, kind)
        if name not in done and name not in wanted:
            wanted.append(name)
        return short(name)

    def short(name: str) -> str:
        module, kind = name.split(":")
        return f"{module.replace('apimachinery/pkg/apis/', '').replace('api/', '')}/{kind}"

    while wanted:
        name = wanted.pop(0)
        if name in done:
            continue
        if name not in messages:
            sys.exit(f"no message {name}")
        module = name.split(":")[0]
        cells = []
        done[name] = ""
        for number, field, attribute, kind in messages[name]:
            json = names.get(field.replace("_", ""))
            # Structs that Go embeds have no name of their own in JSON.
            embedded = name.endswith((":Volume", ":PersistentVolumeSpec")) and field in ("volume_source", "persistent_volume_source")
            embedded |= name.endswith((":Probe", ":LifecycleHandler")) and field == "handler"
            embedded |= field in ("local_object_reference", "ephemeral_container_common", "ingress_rule_value")
            if embedded:
                cells.append(f"{number}:{field}:inline>{follow(module, kind)}")
                continue
            if json is None:
                parts = field.split("_")
                json = parts[0] + "".join(part.capitalize() for part in parts[1:])
                print(f"guessed {name} {field} -> {json}", file=sys.stderr)
            cells.append(f"{number}:{json}:{kind_of(module, json, attribute, kind)}")
        done[name] = " ".join([short(name), *cells])

    print("# Generated by hack/protobuf-fields.py from k8s-pb and k8s-openapi. Do not edit.")
    for line in sorted(done.values()):
        print(line)


main()
