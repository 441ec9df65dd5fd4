"""The schemas of the OpenAPI document: one for each model, under the name that the API's readers know it by.

A model is a msgspec structure (answers, forms) or a pydantic model (JSON bodies). What a member is if it is left out
is said in words: of a ``default`` many generators make a member that must be given.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect
from pydantic import BaseModel

Schema = dict[str, Any]
Model = type[BaseModel] | type[msgspec.Struct]

PREFIX = "#/components/schemas/"
# The API's words for our classes, where they are others.
_NAMES = {
    "AcknowledgeIn": "AcknowledgementRequest",
    "Acknowledged": "Acknowledgement",
    "CloseIn": "CloseRequest",
    "Closed": "Closing",
    "AggregatorAnswer": "Aggregator",
    "AttachmentIn": "AttachmentRequest",
    "AttachmentReport": "Attachment",
    "BatchAnswer": "BatchRules",
    "BatchRow": "Batch",
    "BatchShape": "BatchRulesRequest",
    "BulkIn": "BulkRequest",
    "CallbackAnswer": "Callback",
    "CallbackShape": "CallbackRequest",
    "ChangeAnswer": "TemplateChange",
    "ChangeSetAnswer": "ChangeSetOutcome",
    "ChangeSetShape": "ChangeSetRequest",
    "ChangedRecipientShape": "ChangedRecipientRequest",
    "ChangedTemplateShape": "ChangedTemplateRequest",
    "ChangesAnswer": "TemplateChanges",
    "Channel": "ChannelType",
    "ChannelIn": "ChannelRequest",
    "ChannelReport": "Channel",
    "DeletedShape": "DeletedRequest",
    "DeliveryReport": "Delivery",
    "Dispatched": "AcceptedNotification",
    "DownloadReport": "Download",
    "EndpointShape": "EndpointRequest",
    "EqualTextsAnswer": "EqualTexts",
    "EqualTextsShape": "EqualTextsRequest",
    "EventReport": "Event",
    "Handled": "HandledBatches",
    "IntrospectionAnswer": "TokenIntrospection",
    "HoursShape": "WindowHoursRequest",
    "JwkSet": "JsonWebKeySet",
    "LinkIn": "LinkRequest",
    "LinkedFileReport": "FileLink",
    "MatterReport": "Matter",
    "MatchReport": "Match",
    "Member": "BatchMember",
    "MemberRemoved": "RemovedMember",
    "MembershipReport": "BatchMembership",
    "MessageRecord": "CallbackMessage",
    "MuteAnswer": "Mute",
    "MuteShape": "MuteRequest",
    "NamedSampleShape": "NamedSampleRequest",
    "NewSigningSecret": "SigningSecret",
    "Nothing": "Empty",
    "NotificationIn": "NotificationRequest",
    "NotificationReport": "Notification",
    "NotificationRow": "NotificationSummary",
    "ObligationIn": "ObligationRequest",
    "ObligationReport": "Obligation",
    "PolicyAnswer": "Policy",
    "PolicyChannel": "PolicyChannelRequest",
    "PolicyChannelAnswer": "PolicyChannel",
    "PolicyShape": "PolicyRequest",
    "PolicyStep": "PolicyStepRequest",
    "PolicyStepAnswer": "PolicyStep",
    "PreviewShape": "PreviewRequest",
    "ProblemAnswer": "Problem",
    "PublicKey": "JsonWebKey",
    "RecipientAnswer": "Recipient",
    "RecipientReport": "RecipientDeliveries",
    "RecipientShape": "RecipientRequest",
    "RenderedAnswer": "RenderedMessage",
    "ReportLinks": "NotificationLinks",
    "ResolveShape": "ResolveRequest",
    "Result": "BulkResult",
    "Results": "BulkResults",
    "Segments": "SmsSegments",
    "SampleAnswer": "NamedSample",
    "SenderAnswer": "Sender",
    "SendingRulesAnswer": "SendingRules",
    "SendingRulesShape": "SendingRulesRequest",
    "SettingsAnswer": "Settings",
    "SettingsShape": "SettingsRequest",
    "StepIn": "StepRequest",
    "StepReport": "Step",
    "SuppressionRecord": "Suppression",
    "TemplateAnswer": "Template",
    "TemplateShape": "TemplateRequest",
    "ThrottleAnswer": "Throttle",
    "ThrottleShape": "ThrottleRequest",
    "TicketReport": "WorklistTicket",
    "TokenAnswer": "AccessToken",
    "UserAnswer": "TemplateUser",
    "WorklistRow": "WorklistEntry",
    "VariantAnswer": "TemplateVariant",
    "VariantShape": "TemplateVariantRequest",
    "VersionAnswer": "TemplateVersion",
    "VersionPage": "TemplateVersionPage",
    "WaitReport": "Wait",
    "Why": "BatchEnd",
    "WindowAnswer": "Window",
    "WindowHoursAnswer": "WindowHours",
    "WindowShape": "WindowRequest",
}


def name(model: type) -> str:
    """Return the name of a model's schema."""
    return _NAMES.get(model.__name__, model.__name__)


def reference(model: type) -> Schema:
    """Return the reference to a model's schema."""
    return {"$ref": PREFIX + name(model)}


def describe(models: Iterable[Model]) -> dict[str, Schema]:
    """Return the schemas of models and of all that they are made of, by name.

    Raises:
        ValueError: if two different models have the same name.
    """
    found: dict[str, Schema] = {}
    for model in dict.fromkeys(models):
        for own, schema in _schemas(model):
            public = _NAMES.get(own, own)
            made = {"title": public, **_written(schema)}
            if found.setdefault(public, made) != made:
                raise ValueError(f"Two different models of the OpenAPI document are both named {public}.")
    return dict(sorted(found.items()))


def _schemas(model: Model) -> Iterator[tuple[str, Schema]]:
    if issubclass(model, BaseModel):
        schema = model.model_json_schema(ref_template=PREFIX + "{model}")
        yield from schema.pop("$defs", {}).items()
        yield model.__name__, schema
        return
    _, schemas = msgspec.json.schema_components([model], ref_template=PREFIX + "{name}")
    for one in _structures(model):
        _mark_moments(one, schemas[one.cls.__name__])
    yield from schemas.items()


def _structures(model: type[msgspec.Struct]) -> Iterator[inspect.StructType]:
    """Yield a structure and all that it is made of."""
    seen: set[type] = set()
    parts: list[Any] = [inspect.type_info(model)]
    while parts:
        part = parts.pop()
        if isinstance(part, inspect.StructType):
            if part.cls in seen:
                continue
            seen.add(part.cls)
            yield part
        parts += _parts(part)


def _parts(part: object) -> list[Any]:
    """Return what a type, or a member of a structure, is made of."""
    if not isinstance(part, inspect.Type | inspect.Field):
        return []
    values = [getattr(part, member) for member in part.__struct_fields__]
    return [one for value in values for one in (value if isinstance(value, tuple) else (value,))]


def _mark_moments(structure: inspect.StructType, schema: Schema) -> None:
    """Say which members are moments: msgspec does so only for those whose zone it is to check."""
    for field in structure.fields:
        if any(isinstance(part, inspect.DateTimeType) for part in (field.type, *_parts(field.type))):
            member = schema["properties"][field.encode_name]
            for option in member.get("anyOf", [member]):
                if option.get("type") == "string":
                    option["format"] = "date-time"


def _written(schema: Schema) -> Schema:
    """Rewrite a schema and its parts in the document's words, without titles and defaults."""
    made = {keyword: _part(keyword, value) for keyword, value in schema.items() if keyword not in {"title", "default"}}
    if made.get("type") == "object" and "properties" not in made:
        made.setdefault("additionalProperties", True)  # some generators take what is not said for a no
    if words := made.get("enum"):
        made |= {"type": "string", "enum": sorted(words)}
    if isinstance(schema.get("default"), str) and schema["default"]:
        made["description"] = f"{made.get('description', '')} If left out, it is `{schema['default']}`.".strip()
    return made


def _part(keyword: str, value: Any) -> Any:
    if keyword == "properties":
        return {member: _part("", schema) for member, schema in value.items()}
    if keyword == "$ref":
        own = value.removeprefix(PREFIX)
        return PREFIX + _NAMES.get(own, own)
    if isinstance(value, list):
        return [_part("", one) for one in value]
    return _written(value) if isinstance(value, dict) else value
