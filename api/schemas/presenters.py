"""Presenters: from read models to responses, with only the parts the caller may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from api.http.auth import Caller, Customer, FriendCaller, Operator
from api.schemas import base, responses, reviews
from api.schemas import catalogue as catalogue_schemas
from api.schemas import desk as desk_schemas
from api.schemas import people as people_schemas
from api.schemas.files import FileResponse, FilesResponse, IdentityResponse
from data.enums import AreaKind, BookingState
from data.markets import MARKETS, Language
from data.records import jobs as jobs_records
from data.records import money as money_records
from data.records.catalogue import Catalogue
from data.records.files import Identity, StoredFile
from data.records.ids import OfferId
from data.records.jobs import Award, Booking, Job
from data.records.people import Area, Plan
from data.seed import catalogue
from data.store import friends, read_models
from data.store.reviews import OpenReport, PublicProfile
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs.reviews import SeenReview
from dispatch.rules.jobs import cancellation, contact, contest, matching, visibility, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.money import earnings
from dispatch.rules.people.names import first_name
from dispatch.rules.people.weekly_plan import split_week
from dispatch.rules.policy import HOUR, Policy
from dispatch.rules.trust.disclosure import may_know_customer
from geo import cells
from geo.point import Point, distance_m


def present_money(amount: money_records.Money) -> base.Money:
    """An amount in minor units."""
    return base.Money(amount=amount.amount, currency=amount.currency)


def present_event(view: read_models.EventView, *, whole: bool) -> responses.Event:
    """An event; unless `whole`, without the identities of friends."""
    data = view.data if whole else visibility.public_data(view.data)
    return responses.Event(seq=view.seq, kind=view.kind, at=view.at, data=dict(data))


def present_package_name(
    code: str, version: int, language: Language, catalogue: Catalogue
) -> responses.PackageName:
    """The package of a booking by its name in the reader's language."""
    return responses.PackageName(code=code, name=catalogue.at(code, version).texts[language].name)


def present_markets() -> list[catalogue_schemas.MarketInfo]:
    """All markets with the data that forms need, the home market first."""
    return [
        catalogue_schemas.MarketInfo(
            code=market,
            currency=facts.currency,
            timezone=facts.timezone,
            languages=list(facts.languages),
            calling_code=facts.calling_code,
            phone_example=facts.phone_example,
            postcode_example=facts.postcode.example,
        )
        for market, facts in MARKETS.items()
    ]


def present_created_booking(done: CommandResult) -> responses.BookingCreatedResponse:
    """A booking as just created."""
    booking = done.job.booking
    return responses.BookingCreatedResponse(
        id=booking.id,
        state=booking.state,
        round=booking.round,
        package=booking.package,
        market=booking.market,
        language=booking.language,
        price=present_money(booking.price),
        offers=responses.LiveOffers(live=len(done.job.live)),
        wishes=list(booking.wishes),
        partner_reference=booking.partner_reference,
        created_at=booking.created_at,
        customer_link=None,
    )


def present_booking(
    view: read_models.BookingView,
    policy: Policy,
    *,
    with_customer: bool = False,
    by_desk: bool = False,
    own: bool = False,
) -> responses.BookingResponse:
    """A booking as it is now; `own` for its own customer."""
    holder = view.holder
    return responses.BookingResponse(
        id=view.id,
        state=view.state,
        round=view.round,
        package=view.package,
        package_name=view.package_name,
        market=view.market,
        timezone=MARKETS[view.market].timezone,
        language=view.language,
        price=present_money(view.price),
        offers=responses.LiveOffers(live=view.live),
        asked_in_all=view.asked,
        wishes=list(view.wishes),
        partner_reference=view.partner_reference,
        created_at=view.created_at,
        **(terms(policy.at(view.tier, view.package)) | (_holder_fields(holder) if holder else {})),
        asked_first=_asked_first(view) if own or by_desk else None,
        move_note=view.move_note if with_customer or own else None,
        cancellation=_cancellation(view, policy, by_desk=by_desk),
        cancel_fee=present_money(view.cancel_fee) if view.state is BookingState.CANCELLED else None,
        stars=view.stars,
        contestable_until=_contestable_until(view, policy),
        customer=present_customer(view.customer) if with_customer and view.customer else None,
        signature=view.signature if by_desk else None,
        server_time=view.now,
    )


def present_booking_to(
    caller: Caller, view: read_models.BookingView, policy: Policy, *, with_customer: bool = True
) -> responses.BookingResponse:
    """A booking as it is now, with what this caller may see of it."""
    shown = present_booking(
        view,
        policy,
        with_customer=with_customer and _may_know_customer(caller, view, policy),
        by_desk=isinstance(caller, Operator),
        own=isinstance(caller, Customer),
    )
    # The friend sees stars only as a review, once both are in.
    return shown.model_copy(update={"stars": None}) if isinstance(caller, FriendCaller) else shown


def _may_know_customer(caller: Caller, view: read_models.BookingView, policy: Policy) -> bool:
    if isinstance(caller, Operator):
        return True
    if isinstance(caller, Customer):
        return caller.signed_in
    if not isinstance(caller, FriendCaller) or view.holder is None:
        return False
    return may_know_customer(view.holder.award.ended_at, view.now, policy)


def _holder_fields(holder: read_models.Holder) -> dict[str, Any]:
    return {
        "contact_within_h": holder.award.contact_within_s // 3600,
        **_milestones(holder.award),
        "friend": responses.Helper(
            first_name=first_name(holder.name),
            photo=holder.photo,
            languages=list(holder.languages),
            stars=holder.stars,
            ratings=holder.ratings,
        ),
    }


def _asked_first(view: read_models.BookingView) -> responses.AskedFirst | None:
    if view.asked_first is None:
        return None
    name, until = view.asked_first
    return responses.AskedFirst(first_name=first_name(name), until=until)


def terms(policy: Policy) -> dict[str, Any]:
    """The numbers of the policy that appear in texts for customers."""
    return {"fan_out": policy.fan_out, "contact_within_h": policy.contact_within_h}


def catalogue_terms(policy: Policy) -> dict[str, Any]:
    """The `terms`, and what cancelling a booking will cost."""
    return terms(policy) | {
        "cancel_free_until_h": policy.cancel_free_until // HOUR,
        "cancel_late_percent": policy.cancel_late_percent,
    }


def _milestones(award: Award) -> dict[str, Any]:
    """The progress of an award, as far as all parties may see it."""
    return {
        "contact_due_at": award.contact_due_at,
        "contacted_at": award.contacted_at,
        "disputed_at": award.disputed_at,
        "appointment": present_appointment(award.appointment),
        "move_asked_at": award.move_asked_at,
        "move_wishes": list(award.move_wishes),
        "on_the_way_at": award.on_the_way_at,
        **award.marks,
        "started_at": award.started_at,
        "ended_at": award.ended_at,
    }


def _cancellation(
    view: read_models.BookingView, policy: Policy, *, by_desk: bool
) -> responses.Cancellation | None:
    holder = view.holder
    found = cancellation.cancellation_terms(
        view.state,
        view.price,
        None if by_desk or holder is None else holder.award.appointment,
        contact_disputed=holder is not None and contact.is_disputed(holder.award),
        now=view.now,
        policy=policy.at(view.tier, view.package),
    )
    return responses.Cancellation.model_validate(found) if found else None


def _contestable_until(view: read_models.BookingView, policy: Policy) -> datetime | None:
    """Until when the completion may be contested; None when it may not."""
    if view.holder is None:
        return None
    until = contest.contestable_until(view.holder.award, policy.at(view.tier, view.package))
    return until if until and view.now < until else None


def present_appointment(met: jobs_records.Appointment | None) -> responses.Appointment | None:
    """An appointment, None without one."""
    return responses.Appointment.model_validate(met) if met else None


def present_customer(contact: read_models.Contact) -> responses.Customer:
    """The contact data and the address of the customer."""
    return responses.Customer(
        name=contact.name,
        phone=contact.phone,
        email=contact.email,
        language=contact.spoken,
        address=responses.CustomerAddress(
            street=contact.street,
            postcode=contact.postcode,
            city=contact.city,
            country=contact.country,
            lat=contact.lat,
            lon=contact.lon,
        ),
        notes=contact.notes,
    )


def present_offer(
    view: read_models.OfferView, catalogue: Catalogue, policy: Policy
) -> responses.Offer:
    """An offer with only what the friend may see before an award."""
    return responses.Offer(
        id=view.id,
        booking_id=view.booking_id,
        package=present_package_name(view.package, view.package_version, view.language, catalogue),
        round=view.round,
        pay=present_money(view.pay),
        cell=responses.Cell(
            lat=view.cell_lat, lon=view.cell_lon, size_m=cells.SIZE_M, label=view.cell_label
        ),
        distance_m=view.shown_m,
        minutes=matching.travel_minutes(view.shown_m, policy),
        contact_within_h=policy.at(view.tier, view.package).contact_within_h,
        asked_for_you=view.for_you,
        wishes=list(view.wishes),
        offered_at=view.offered_at,
        expires_at=view.expires_at,
        server_time=view.now,
    )


def present_job(view: read_models.JobView, catalogue: Catalogue, policy: Policy) -> responses.Job:
    """A job as its friend may see it."""
    disclosed = may_know_customer(view.award.ended_at, view.now, policy)
    return responses.Job(
        booking_id=view.booking_id,
        offer_id=view.award.offer_id,
        award_id=view.award.id,
        state=view.state,
        round=view.award.round,
        package=present_package_name(view.package, view.package_version, view.language, catalogue),
        pay=present_money(view.pay),
        wishes=list(view.wishes),
        awarded_at=view.award.awarded_at,
        contact_within_h=view.award.contact_within_s // 3600,
        **_milestones(view.award),
        leave_from=visit.leave_from(view.award, policy),
        move_note=view.move_note if disclosed else None,
        distance_m=_distance_m(view) if disclosed else None,
        customer=present_customer(view.customer) if disclosed else None,
        server_time=view.now,
    )


def present_earning(view: read_models.EarningView, catalogue: Catalogue) -> responses.Earning:
    """What a friend has earned, with what for."""
    is_reversed = view.reversed_at is not None
    return responses.Earning(
        booking_id=view.booking_id,
        package=present_package_name(view.package, view.package_version, view.language, catalogue),
        cause=earnings.cause_of_charge(view.cancel_fee_minor, reversed_=is_reversed),
        pay=present_money(view.pay),
        at=view.at,
        reversed_at=view.reversed_at,
    )


def _distance_m(view: read_models.JobView) -> int | None:
    lat, lon = view.customer.lat, view.customer.lon
    if view.base is None or lat is None or lon is None:
        return None
    return int(distance_m(Point(*view.base), Point(lat=lat, lon=lon)))


def present_award(
    booking: Booking, held: Award, offer_id: OfferId, contact: read_models.Contact | None
) -> responses.AcceptResponse:
    """The response to an accept, made only of immutable data so that repeats are equal."""
    award = rules.initial_award(held)
    return responses.AcceptResponse(
        booking_id=award.booking_id,
        offer_id=offer_id,
        award_id=award.id,
        state=BookingState.AWARDED,
        round=award.round,
        package=booking.package,
        pay=present_money(booking.pay),
        awarded_at=award.awarded_at,
        contact_due_at=award.contact_due_at,
        customer=present_customer(contact) if contact else None,
    )


def present_progress(job: Job, award: Award | None) -> responses.ProgressResponse:
    """The progress of a job; only its state without an award."""
    return responses.ProgressResponse(
        booking_id=job.booking.id,
        state=job.booking.state,
        **(_milestones(award) if award else {}),
    )


def present_file(file: StoredFile) -> FileResponse:
    """A picture that is kept."""
    return FileResponse.model_validate(file)


def present_files(files: Sequence[StoredFile], identity: Identity | None) -> FilesResponse:
    """The photo and the evidence of a person, and what was seen of it."""
    seen = None if identity is None else IdentityResponse.model_validate(identity)
    return FilesResponse(items=list(map(present_file, files)), identity=seen)


def present_review(seen: SeenReview) -> reviews.ReviewResponse:
    """A review as one side sees it."""
    one = seen.review
    return reviews.ReviewResponse(
        own=seen.own,
        stars=one.stars,
        comment=one.comment,
        at=one.at,
        shown_at=one.shown_at,
        reply=one.reply,
        reported=one.reported_at is not None and not seen.own,
        hidden=one.hidden,
    )


def present_report(found: OpenReport) -> reviews.ReportedReview:
    """A reported review for the desk."""
    one = found.review
    names = reviews.ReportedReview.model_fields.keys() - {"booking_id", "package"}
    fields = {name: getattr(one, name) for name in names}
    return reviews.ReportedReview(booking_id=found.booking_id, package=found.package, **fields)


def present_friend_profile(
    found: PublicProfile, language: Language
) -> reviews.FriendProfileResponse:
    """What customers see of a friend; a month dates a review, since a day could name its writer."""
    kinds = catalogue.load().certificates
    held = [
        reviews.HeldSkill(code=code, name=kinds[code].names[language] if code in kinds else code)
        for code in found.certificates
    ]
    return reviews.FriendProfileResponse(
        first_name=first_name(found.name),
        photo=found.photo,
        languages=list(found.languages),
        certificates=held,
        stars=found.stars,
        ratings=found.ratings,
        jobs=found.jobs,
        reviews=[
            reviews.ShownReview(
                stars=one.stars, comment=one.comment or "", month=f"{one.at:%Y-%m}", reply=one.reply
            )
            for one in found.reviews
        ],
    )


def present_notes(
    stored: Sequence[Mapping[str, Any]], names: Mapping[UUID, str]
) -> list[desk_schemas.Note]:
    """Notes with the names of their authors."""
    return [
        desk_schemas.Note(
            at=one["at"], by=(by := UUID(one["by"])), name=names.get(by, ""), text=one["text"]
        )
        for one in stored
    ]


def present_quiet_hours(row: Mapping[str, Any]) -> people_schemas.QuietHours | None:
    """Quiet hours from a friend's row, None without."""
    if row["quiet_from"] is None:
        return None
    hours = {"from": _time(row["quiet_from"]), "until": _time(row["quiet_until"])}
    return people_schemas.QuietHours.model_validate(hours)


def present_plan(row: Mapping[str, Any]) -> dict[str, Any]:
    """`week`, `holidays` and `areas` from a friend's row."""
    plan = friends.plan(row) or Plan()
    days = list(people_schemas.Weekday)
    spans = [
        {"day": days[one.day], "from": _time(one.from_minute), "until": _time(one.until_minute)}
        for one in split_week(plan.week or ())
    ]
    return {
        "week": None if plan.week is None else spans,
        "holidays": [{"from": first, "until": last} for first, last in plan.holidays],
        "areas": [_area(one) for one in friends.areas(row)],
    }


def _area(area: Area) -> people_schemas.AreaResponse:
    drawn = area.kind is AreaKind.POLYGON
    ring = [list(corner) for corner in (*area.ring, *area.ring[:1])]
    return people_schemas.AreaResponse(
        kind=area.kind,
        lat=None if drawn else area.lat,
        lon=None if drawn else area.lon,
        radius_m=area.radius_m or None,
        minutes=area.minutes or None,
        outline=people_schemas.AreaOutline(coordinates=[ring]) if ring else None,
    )


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
