"""Which elements and attributes an MPD is made of (ISO/IEC 23009-1 5 and annex B), as tables.

A child is `Name` (one), `Name?`, `Name*` or `Name+`, in the order that is demanded; an attribute is `name:type`, `name!:type` when it
must be there. Types are in `values`. Names of other namespaces may stand anywhere and are not judged.
"""

from __future__ import annotations

import msgspec


class Element(msgspec.Struct, frozen=True):
    """What an element may hold."""

    attributes: dict[str, str]
    """Type of each."""
    required: tuple[str, ...]
    children: tuple[str, ...]
    """In order."""
    least: dict[str, int]
    single: frozenset[str]
    """Children that may stand once at most."""
    text: bool
    """It may hold text."""


_DESCRIPTOR = "schemeIdUri!:uri value:string id:string"
_COMMON = (
    "profiles:profiles width:u32 height:u32 sar:ratio frameRate:frameRate audioSamplingRate:rates mimeType:string segmentProfiles:strings "
    "codecs:codecs containerProfiles:strings maximumSAPPeriod:double startWithSAP:sap maxPlayoutRate:double codingDependency:bool "
    "scanType:scan selectionPriority:u32 tag:string"
)
_COMMON_CHILDREN = (
    "FramePacking* AudioChannelConfiguration* ContentProtection* OutputProtection? EssentialProperty* SupplementalProperty* "
    "InbandEventStream* Switching* RandomAccess* GroupLabel* Label* ProducerReferenceTime* ContentPopularityRate* Resync*"
)
_VIEWS = "Accessibility* Role* Rating* Viewpoint*"
_SEGMENTS = "SegmentBase? SegmentList? SegmentTemplate?"
_SEGMENT_BASE = (
    "timescale:u32 eptDelta:int pdDelta:int presentationTimeOffset:u64 presentationDuration:u64 timeShiftBufferDepth:duration "
    "indexRange:range indexRangeExact:bool availabilityTimeOffset:double availabilityTimeComplete:bool"
)
_SEGMENT_BASE_CHILDREN = "Initialization? RepresentationIndex? FailoverContent?"
_MULTIPLE = f"{_SEGMENT_BASE} duration:u32 startNumber:u32 endNumber:u32"
_MULTIPLE_CHILDREN = f"{_SEGMENT_BASE_CHILDREN} SegmentTimeline? BitstreamSwitching?"
_EVENTS = "schemeIdUri!:uri value:string timescale:u32 presentationTimeOffset:u64"
_SET = (
    f"{_COMMON} id:u32 group:u32 lang:language contentType:content par:ratio minBandwidth:u32 maxBandwidth:u32 minWidth:u32 maxWidth:u32 "
    "minHeight:u32 maxHeight:u32 minFrameRate:frameRate maxFrameRate:frameRate segmentAlignment:bool subsegmentAlignment:bool "
    "subsegmentStartsWithSAP:sap bitstreamSwitching:bool initializationSetRef:u32s initializationPrincipal:uri"
)
_SET_CHILDREN = f"{_COMMON_CHILDREN} {_VIEWS} ContentComponent* BaseURL* {_SEGMENTS} Representation*"

_TABLE: dict[str, tuple[str, str]] = {
    "MPD": (
        (
            "id:string profiles!:profiles type:type availabilityStartTime:dateTime availabilityEndTime:dateTime publishTime:dateTime "
            "mediaPresentationDuration:duration minimumUpdatePeriod:duration minBufferTime!:duration timeShiftBufferDepth:duration "
            "suggestedPresentationDelay:duration maxSegmentDuration:duration maxSubsegmentDuration:duration"
        ),
        (
            "ProgramInformation* BaseURL* Location* PatchLocation* ServiceDescription* InitializationSet* InitializationGroup* "
            "InitializationPresentation* ContentProtection* Period+ Metrics* EssentialProperty* SupplementalProperty* UTCTiming* "
            "LeapSecondInformation?"
        ),
    ),
    "ProgramInformation": ("lang:language moreInformationURL:uri", "Title? Source? Copyright?"),
    "ServiceDescription": ("id:u32", "Scope* Latency* PlaybackRate* OperatingQuality* OperatingBandwidth*"),
    "Latency": ("referenceId:u32 target:u32 max:u32 min:u32", "QualityLatency*"),
    "PlaybackRate": ("max:double min:double", ""),
    "OperatingQuality": ("mediaType:quality min:u32 max:u32 target:u32 type:uri maxDifference:u32", ""),
    "OperatingBandwidth": ("mediaType:traffic min:u32 max:u32 target:u32", ""),
    "InitializationSet": (
        (
            f"{_COMMON} id!:u32 inAllPeriods:bool contentType:content par:ratio maxWidth:u32 maxHeight:u32 maxFrameRate:frameRate "
            "initialization:uri"
        ),
        f"{_COMMON_CHILDREN} {_VIEWS}",
    ),
    "ContentProtection": (f"{_DESCRIPTOR} robustness:word refId:name ref:name", ""),
    "Period": (
        "id:string start:duration duration:duration bitstreamSwitching:bool",
        (
            f"BaseURL* {_SEGMENTS} AssetIdentifier? EventStream* ServiceDescription* ContentProtection* AdaptationSet* Subset* "
            "SupplementalProperty* EmptyAdaptationSet* GroupLabel* Preselection*"
        ),
    ),
    "EventStream": (_EVENTS, "Event*"),
    "InbandEventStream": (_EVENTS, "Event*"),
    "AdaptationSet": (_SET, _SET_CHILDREN),
    "EmptyAdaptationSet": (_SET, _SET_CHILDREN),
    "ContentComponent": ("id:u32 lang:language contentType:content par:ratio tag:string", _VIEWS),
    "Representation": (
        (
            f"{_COMMON} id!:word bandwidth!:u32 qualityRanking:u32 dependencyId:strings associationId:strings associationType:strings "
            "mediaStreamStructureId:strings"
        ),
        f"{_COMMON_CHILDREN} BaseURL* ExtendedBandwidth* SubRepresentation* {_SEGMENTS}",
    ),
    "SubRepresentation": (f"{_COMMON} level:u32 dependencyLevel:u32s bandwidth:u32 contentComponent:strings", _COMMON_CHILDREN),
    "ExtendedBandwidth": ("vbr:bool", "ModelPair*"),
    "ModelPair": ("bufferTime!:duration bandwidth!:u32", ""),
    "Preselection": (f"{_COMMON} id:word preselectionComponents!:strings lang:language order:order", f"{_COMMON_CHILDREN} {_VIEWS}"),
    "SegmentBase": (_SEGMENT_BASE, _SEGMENT_BASE_CHILDREN),
    "SegmentList": (_MULTIPLE, f"{_MULTIPLE_CHILDREN} SegmentURL*"),
    "SegmentTemplate": (f"{_MULTIPLE} media:string index:string initialization:string bitstreamSwitching:string", _MULTIPLE_CHILDREN),
    "SegmentTimeline": ("", "S*"),
    "S": ("t:u64 n:u64 d!:u64 r:int k:u64", ""),
    "SegmentURL": ("media:uri mediaRange:range index:uri indexRange:range", ""),
    "FailoverContent": ("valid:bool", "FCS+"),
    "FCS": ("t!:u64 d:u64", ""),
    "Switching": ("interval!:u32 type:switching", ""),
    "RandomAccess": ("interval!:u32 type:random minBufferTime:duration bandwidth:u32", ""),
    "ProducerReferenceTime": (
        "id!:u32 inband:bool type:reference applicationScheme:string wallClockTime!:string presentationTime!:u64",
        "UTCTiming?",
    ),
    "ContentPopularityRate": ("source!:source source_description:string", "PR+"),
    "PR": ("popularityRate:percent start:u64 r:i32", ""),
    "Resync": ("type:sap dT:u32 dImax:double dImin:double marker:bool", ""),
    "Subset": ("contains!:u32s id:string", ""),
    "Metrics": ("metrics!:string", "Range* Reporting+"),
    "Range": ("starttime:duration duration:duration", ""),
    "LeapSecondInformation": (
        "availabilityStartLeapOffset!:int nextAvailabilityStartLeapOffset:int nextLeapChangeTime:dateTime",
        "",
    ),
}
_DESCRIPTORS = (
    "Accessibility AssetIdentifier AudioChannelConfiguration EssentialProperty FramePacking OutputProtection Rating Reporting Role Scope "
    "SupplementalProperty UTCTiming Viewpoint"
)
_TEXTS = {
    "BaseURL": "serviceLocation:string byteRange:string availabilityTimeOffset:double availabilityTimeComplete:bool "
    "timeShiftBufferDepth:duration rangeAccess:bool",
    "Location": "",
    "PatchLocation": "ttl:double",
    "Title": "",
    "Source": "",
    "Copyright": "",
    "Label": "id:u32 lang:language",
    "GroupLabel": "id:u32 lang:language",
    "QualityLatency": "type:uri",
    "InitializationGroup": "id!:u32 profiles:profiles contentType:content",
    "InitializationPresentation": "id!:u32 profiles:profiles contentType:content",
}
_URLS = ("Initialization", "RepresentationIndex", "BitstreamSwitching")


def _element(attributes: str, children: str, *, text: bool = False) -> Element:
    pairs = [part.partition(":")[::2] for part in attributes.split()]
    items = children.split()
    return Element(
        {name.rstrip("!"): kind for name, kind in pairs},
        tuple(name[:-1] for name, _ in pairs if name.endswith("!")),
        tuple(item.rstrip("?*+") for item in items),
        {item.rstrip("+"): 1 for item in items if item[-1] not in "?*"},
        frozenset(item.rstrip("?") for item in items if item[-1] not in "*+"),
        text,
    )


ELEMENTS: dict[str, Element] = {
    **{name: _element(*columns) for name, columns in _TABLE.items()},
    **{name: _element(_DESCRIPTOR, "") for name in _DESCRIPTORS.split()},
    **{name: _element("sourceURL:uri range:range", "") for name in _URLS},
    **{name: _element(attributes, "", text=True) for name, attributes in _TEXTS.items()},
    "Event": _element("presentationTime:u64 duration:u64 id:u32 contentEncoding:base64 messageData:string", "SelectionInfo?", text=True),
    "SelectionInfo": _element("selectionInfo:string contactURL!:uri", "Selection+"),
    "Selection": _element("dataEncoding:base64 parameter!:string data:string", ""),
}
"""By their names in the namespace of MPDs."""
