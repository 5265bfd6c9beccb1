"""Companies of pros, their dispatchers, technicians, offers and jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import FriendState, Tier
from data.markets import Language
from data.records.ids import BookingId, CompanyId, FriendId, OfferId, PersonId
from data.store import read_models
from data.store.read_models import JobView, OfferView

sql = sql_loader.load("companies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A company and how many people and open jobs it has."""

    id: CompanyId
    name: str
    created_at: datetime
    dispatchers: int
    technicians: int
    open_jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """A person who answers offers to a company and assigns its jobs."""

    id: PersonId
    name: str
    email: str
    language: Language
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Technician:
    """A friend who works for a company, with their load."""

    id: FriendId
    ref: str
    name: str
    state: FriendState
    open_jobs: int
    capacity: int
    languages: tuple[Language, ...]
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyJob:
    """A job of a company and the name of its technician."""

    view: JobView
    technician_id: FriendId
    technician: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Where a friend stands: of which company, in which tier and state."""

    company: CompanyId | None
    tier: Tier
    state: FriendState


async def insert(tx: Connection, company_id: CompanyId, name: str) -> None:
    """Add a company."""
    await tx.execute(sql.insert, company_id, name)


async def listed(tx: Connection) -> list[Company]:
    """Return all companies by name."""
    return [Company(**row) for row in await tx.fetch(sql.listed)]


async def one(tx: Connection, company_id: CompanyId) -> Company | None:
    """Return a company."""
    row = await tx.fetchrow(sql.one, company_id)
    return Company(**row) if row else None


async def of_dispatcher(tx: Connection, person_id: PersonId) -> tuple[CompanyId, str] | None:
    """Return the company of a dispatcher and its name."""
    row = await tx.fetchrow(sql.of_dispatcher, person_id)
    return (CompanyId(row["id"]), row["name"]) if row else None


async def dispatchers(tx: Connection, company_id: CompanyId) -> list[Dispatcher]:
    """Return the dispatchers of a company by name."""
    rows = await tx.fetch(sql.dispatchers, company_id)
    return [Dispatcher(**{**row, "language": Language(row["language"])}) for row in rows]


async def insert_dispatcher(
    tx: Connection,
    person_id: PersonId,
    company_id: CompanyId,
    *,
    name: str,
    email: str,
    language: Language,
) -> bool:
    """Add a dispatcher; False if the address is one's already."""
    made = await tx.fetchval(sql.insert_dispatcher, person_id, company_id, name, email, language)
    return made is not None


async def delete_dispatcher(tx: Connection, person_id: PersonId, company_id: CompanyId) -> bool:
    """Remove a dispatcher of this company and close the account; False if there is none."""
    return await tx.fetchval(sql.delete_dispatcher, person_id, company_id) is not None


async def lock_member(tx: Connection, friend_id: FriendId) -> Member | None:
    """Lock a friend's row and return where they stand."""
    row = await tx.fetchrow(sql.lock_friend, friend_id)
    if row is None:
        return None
    return Member(
        company=row["company_id"], tier=Tier(row["tier"]), state=FriendState(row["state"])
    )


async def count_live_awards(tx: Connection, friend_id: FriendId) -> int:
    """Count the jobs of a company that a friend holds."""
    found: int = await tx.fetchval(sql.live_awards, friend_id)
    return found


async def set_company(tx: Connection, friend_id: FriendId, company_id: CompanyId | None) -> None:
    """Make a friend a technician of a company, or of none."""
    await tx.execute(sql.set_company, friend_id, company_id)


async def technicians(tx: Connection, company_id: CompanyId) -> list[Technician]:
    """Return the technicians of a company by name."""
    return [
        Technician(
            id=FriendId(row["id"]),
            ref=row["ref"],
            name=row["name"],
            state=FriendState(row["state"]),
            open_jobs=row["open_jobs"],
            capacity=row["capacity"],
            languages=tuple(map(Language, row["languages"])),
            certificates=tuple(row["certificates"]),
        )
        for row in await tx.fetch(sql.technicians, company_id)
    ]


async def offers(tx: Connection, company_id: CompanyId, reader: PersonId) -> list[OfferView]:
    """Return the live and unexpired offers to a company, in the language of the reader."""
    return [read_models.offer(row) for row in await tx.fetch(sql.offers, company_id, reader)]


async def jobs(
    tx: Connection,
    company_id: CompanyId,
    reader: PersonId,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[CompanyJob]:
    """Return a page of the jobs of a company, newest first."""
    at, last = before or (None, None)
    found = []
    for row in await tx.fetch(sql.jobs, company_id, reader, at, last, limit):
        view = read_models.job(row)
        found.append(
            CompanyJob(view=view, technician_id=view.award.friend_id, technician=row["technician"])
        )
    return found


async def booking_of_offer(
    tx: Connection, offer_id: OfferId, company_id: CompanyId
) -> BookingId | None:
    """Return the booking of an offer to this company."""
    found: UUID | None = await tx.fetchval(sql.booking_of_offer, offer_id, company_id)
    return BookingId(found) if found else None
