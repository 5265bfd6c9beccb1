"""From what was read to what is said: who sees which part is decided here and in auth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import data.records.jobs
import data.records.money
from api import schemas
from data.enums import BookingState
from data.markets import Language
from data.records.catalogue import Package
from data.records.ids import OfferId
from data.records.jobs import Award, Booking, Job
from data.store import read_models
from dispatch.flows.execute import Done
from dispatch.rules.jobs import cancellation, matching, visibility
from dispatch.rules.jobs import job as rules
from dispatch.rules.policy import Policy
from geo import cells
from geo.point import Point, distance_m

Catalogue = Mapping[str, Package]


def money(amount: data.records.money.Money) -> schemas.Money:
    """An amount in minor units."""
    return schemas.Money(amount=amount.amount, currency=amount.currency)


def event(view: read_models.EventView, *, whole: bool) -> schemas.Event:
    """A fact of a booking; unless `whole`, without who the friends are."""
    data = view.data if whole else visibility.without_friends(view.data)
    return schemas.Event(seq=view.seq, kind=view.kind, at=view.at, data=dict(data))


def package(code: str, language: Language, catalogue: Catalogue) -> schemas.PackageName:
    """A package by its name in the reader's language."""
    return schemas.PackageName(code=code, name=catalogue[code].texts[language].name)


def booking_made(done: Done, link: str) -> schemas.BookingMade:
    """A booking in the moment it was made."""
    booking = done.job.booking
    return schemas.BookingMade(
        id=booking.id,
        state=booking.state,
        round=booking.round,
        package=booking.package,
        market=booking.market,
        language=booking.language,
        price=money(booking.price),
        offers=schemas.LiveOffers(live=len(done.job.live)),
        wishes=list(booking.wishes),
        partner_reference=booking.partner_reference,
        created_at=booking.created_at,
        customer_link=link,
    )


def booking(
    view: read_models.BookingView,
    policy: Policy,
    *,
    with_customer: bool = False,
    by_desk: bool = False,
    hers: bool = False,
) -> schemas.BookingSaid:
    """A booking as it is now; `hers` when its own customer asks."""
    holder = view.holder
    return schemas.BookingSaid(
        id=view.id,
        state=view.state,
        round=view.round,
        package=view.package,
        market=view.market,
        language=view.language,
        price=money(view.price),
        offers=schemas.LiveOffers(live=view.live),
        asked_in_all=view.asked,
        wishes=list(view.wishes),
        partner_reference=view.partner_reference,
        created_at=view.created_at,
        **(_held(holder) if holder else {}),
        move_note=view.move_note if with_customer or hers else None,
        cancellation=_cancellation(view, policy, by_desk=by_desk),
        cancel_fee=money(view.cancel_fee) if view.state is BookingState.CANCELLED else None,
        stars=view.stars,
        customer=customer(view.customer) if with_customer and view.customer else None,
        signature=view.signature if by_desk else None,
        server_time=view.now,
    )


def _held(holder: read_models.Holder) -> dict[str, Any]:
    return {
        "contact_due_at": holder.contact_due_at,
        "contacted_at": holder.contacted_at,
        "disputed_at": holder.disputed_at,
        "appointment": appointment(holder.appointment),
        "move_asked_at": holder.move_asked_at,
        "move_wishes": list(holder.move_wishes),
        "on_the_way_at": holder.on_the_way_at,
        "started_at": holder.started_at,
        "ended_at": holder.ended_at,
        "friend": schemas.Helper(
            first_name=first_name(holder.name),
            languages=list(holder.languages),
            stars=holder.stars,
            ratings=holder.ratings,
        ),
    }


def _cancellation(
    view: read_models.BookingView, policy: Policy, *, by_desk: bool
) -> schemas.Cancellation | None:
    holder = view.holder
    found = cancellation.cancellation(
        view.state,
        view.price,
        None if by_desk or holder is None else holder.appointment,
        disowned=holder is not None
        and cancellation.disowned(holder.contacted_at, holder.disputed_at),
        now=view.now,
        policy=policy,
    )
    return schemas.Cancellation.model_validate(found) if found else None


def first_name(name: str) -> str:
    """By what a friend is called."""
    return name.split(maxsplit=1)[0]


def appointment(met: data.records.jobs.Appointment | None) -> schemas.Appointment | None:
    """An appointment, if there is one."""
    return schemas.Appointment.model_validate(met) if met else None


def customer(contact: read_models.Contact) -> schemas.Customer:
    """Who the friend is to call, and where he is to come."""
    return schemas.Customer(
        name=contact.name,
        phone=contact.phone,
        email=contact.email,
        address=schemas.CustomerAddress(
            street=contact.street,
            postcode=contact.postcode,
            city=contact.city,
            country=contact.country,
            lat=contact.lat,
            lon=contact.lon,
        ),
        notes=contact.notes,
    )


def may_know_customer(ended_at: datetime | None, now: datetime, policy: Policy) -> bool:
    """Whether a friend may still see who his customer is: until fourteen days after the end."""
    return ended_at is None or now < ended_at + policy.privacy_after


def offer(view: read_models.OfferView, catalogue: Catalogue, policy: Policy) -> schemas.Offer:
    """What an asked friend may see, and no more."""
    return schemas.Offer(
        id=view.id,
        booking_id=view.booking_id,
        package=package(view.package, view.language, catalogue),
        round=view.round,
        pay=money(view.pay),
        cell=schemas.Cell(
            lat=view.cell_lat, lon=view.cell_lon, size_m=cells.SIZE_M, label=view.cell_label
        ),
        distance_m=view.shown_m,
        minutes=matching.travel_minutes(view.shown_m, policy),
        wishes=list(view.wishes),
        offered_at=view.offered_at,
        expires_at=view.expires_at,
        server_time=view.now,
    )


def job(view: read_models.JobView, catalogue: Catalogue, policy: Policy) -> schemas.Job:
    """A job as the friend who holds it sees it."""
    known = may_know_customer(view.ended_at, view.now, policy)
    return schemas.Job(
        booking_id=view.booking_id,
        offer_id=view.offer_id,
        award_id=view.award_id,
        state=view.state,
        round=view.round,
        package=package(view.package, view.language, catalogue),
        pay=money(view.pay),
        wishes=list(view.wishes),
        awarded_at=view.awarded_at,
        contact_due_at=view.contact_due_at,
        contacted_at=view.contacted_at,
        disputed_at=view.disputed_at,
        appointment=appointment(view.appointment),
        move_asked_at=view.move_asked_at,
        move_wishes=list(view.move_wishes),
        move_note=view.move_note if known else None,
        on_the_way_at=view.on_the_way_at,
        started_at=view.started_at,
        ended_at=view.ended_at,
        distance_m=_away_m(view) if known else None,
        customer=customer(view.customer) if known else None,
        server_time=view.now,
    )


def _away_m(view: read_models.JobView) -> int | None:
    lat, lon = view.customer.lat, view.customer.lon
    if view.base is None or lat is None or lon is None:
        return None
    return int(distance_m(Point(*view.base), Point(lat=lat, lon=lon)))


def awarded(
    booking: Booking, held: Award, offer_id: OfferId, contact: read_models.Contact | None
) -> schemas.Awarded:
    """The winner's answer: made of what does not change, so that it is always the same."""
    award = rules.as_awarded(held)
    return schemas.Awarded(
        booking_id=award.booking_id,
        offer_id=offer_id,
        award_id=award.id,
        state=BookingState.AWARDED,
        round=award.round,
        package=booking.package,
        pay=money(booking.pay),
        awarded_at=award.awarded_at,
        contact_due_at=award.contact_due_at,
        customer=customer(contact) if contact else None,
    )


def progress(job: Job, award: Award | None) -> schemas.Progress:
    """How far a job has come; of a job that was given back only its state."""
    return schemas.Progress(
        booking_id=job.booking.id,
        state=job.booking.state,
        contact_due_at=award.contact_due_at if award else None,
        contacted_at=award.contacted_at if award else None,
        appointment=appointment(award.appointment) if award else None,
        on_the_way_at=award.on_the_way_at if award else None,
        started_at=award.started_at if award else None,
        ended_at=award.ended_at if award else None,
    )
