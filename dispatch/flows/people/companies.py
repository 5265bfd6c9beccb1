"""Companies of pros: the desk adds them, their dispatchers and their technicians."""

from __future__ import annotations

from dataclasses import dataclass

from data.db import Connection, transaction
from data.enums import FriendState, Tier
from data.markets import Language
from data.records import subjects
from data.records.ids import CompanyId, FriendId, PersonId
from data.store import audit, companies, desk
from data.store.companies import Company, CompanyJob, Dispatcher, Technician
from data.store.read_models import OfferView
from data.store.sessions import Login
from dispatch.flows import journal
from dispatch.flows.people.friends import refresh_and_retry
from dispatch.flows.people.sessions import end_access, request_login_link
from dispatch.flows.read_only import read_connection
from dispatch.rules.journal import Happening
from dispatch.rules.people.names import checked_name
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

NO_COMPANY = "there is no such company"


class AddressTaken(Refused):
    """A dispatcher has this mail address."""

    code = "address-taken"
    field = "email"
    detail = "Give another address, or remove that dispatcher first."


class NoTechnician(Refused):
    """This friend cannot be a technician of the company."""

    code = "no-technician"
    field = "friend"


class JobsOfCompany(Refused):
    """This technician holds jobs of the company."""

    code = "jobs-of-company"
    field = "friend"
    detail = "Have the dispatchers give them to another technician, or hand them back, first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A company and its people."""

    company: Company
    dispatchers: list[Dispatcher]
    technicians: list[Technician]


async def add(rt: Runtime, name: str, *, actor: str) -> CompanyId:
    """Add a company. Raises NameRefused."""
    name, made = checked_name(name), CompanyId(rt.new_id())
    async with transaction(rt.pool) as tx:
        await companies.insert(tx, made, name)
        await audit.record(tx, actor=actor, act="company.added", subject=f"company {made}")
    return made


async def list_all(rt: Runtime) -> list[Company]:
    """All companies by name."""
    async with read_connection(rt) as tx:
        return await companies.listed(tx)


async def team(rt: Runtime, company_id: CompanyId) -> Team:
    """A company, its dispatchers and technicians. Raises NotFound."""
    async with read_connection(rt) as tx:
        found = await companies.one(tx, company_id)
        if found is None:
            raise NotFound(NO_COMPANY)
        return Team(
            company=found,
            dispatchers=await companies.dispatchers(tx, company_id),
            technicians=await companies.technicians(tx, company_id),
        )


async def add_dispatcher(
    rt: Runtime, company_id: CompanyId, *, name: str, email: str, language: Language, actor: str
) -> PersonId:
    """Add a dispatcher and mail a link to sign in. Raises NotFound, AddressTaken, NameRefused."""
    name, made = checked_name(name), PersonId(rt.new_id())
    async with transaction(rt.pool) as tx:
        if await companies.one(tx, company_id) is None:
            raise NotFound(NO_COMPANY)
        if not await companies.insert_dispatcher(
            tx, made, company_id, name=name, email=email, language=language
        ):
            raise AddressTaken
        await _record(tx, made, "company.dispatcher_added", company_id, actor)
    await request_login_link(rt, Login.DISPATCHER, email)
    await _refresh(rt, company_id)
    return made


async def remove_dispatcher(
    rt: Runtime, company_id: CompanyId, person_id: PersonId, *, actor: str
) -> None:
    """Close a dispatcher's account and end its sessions. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        if not await companies.delete_dispatcher(tx, person_id, company_id):
            raise NotFound("there is no such dispatcher of this company")
        await _record(tx, person_id, "company.dispatcher_removed", company_id, actor)
        await end_access(tx, [person_id], actor=actor)
    await _refresh(rt, company_id)


async def add_technician(
    rt: Runtime, company_id: CompanyId, friend_id: FriendId, *, actor: str
) -> None:
    """Make a pro a technician of a company; a repeat changes nothing.

    Raises NotFound, NoTechnician.
    """
    async with transaction(rt.pool) as tx:
        if await companies.one(tx, company_id) is None:
            raise NotFound(NO_COMPANY)
        member = await companies.lock_member(tx, friend_id)
        if member is None or member.state is FriendState.APPLICANT:
            raise NotFound("there is no such friend")
        if member.company == company_id:
            return
        if member.company is not None:
            raise NoTechnician("they work for another company; remove them there first")
        if member.tier is not Tier.PRO:
            raise NoTechnician("they are not of the tier pro; set the tier first")
        await companies.set_company(tx, friend_id, company_id)
        await _record(tx, friend_id, "company.technician_added", company_id, actor)
    await refresh_and_retry(rt, {friend_id})


async def remove_technician(
    rt: Runtime, company_id: CompanyId, friend_id: FriendId, *, actor: str
) -> None:
    """Make a technician an ordinary pro again. Raises NotFound, JobsOfCompany."""
    async with transaction(rt.pool) as tx:
        member = await companies.lock_member(tx, friend_id)
        if member is None or member.company != company_id:
            raise NotFound("there is no such technician of this company")
        if await companies.count_live_awards(tx, friend_id):
            raise JobsOfCompany
        await companies.set_company(tx, friend_id, None)
        await _record(tx, friend_id, "company.technician_removed", company_id, actor)
    await refresh_and_retry(rt, {friend_id})


async def read_board(
    rt: Runtime, company_id: CompanyId, reader: PersonId, limit: int
) -> tuple[str, list[OfferView], list[CompanyJob], list[Technician]]:
    """The name, live offers, newest jobs and technicians of a company; the look is recorded."""
    async with transaction(rt.pool) as tx:
        found = await companies.of_dispatcher(tx, reader)
        if found is None or found[0] != company_id:
            raise NotFound(NO_COMPANY)
        jobs = await companies.jobs(tx, company_id, reader, before=None, limit=limit)
        await desk.record_access(
            tx, actor=f"dispatcher:{reader}", act="company.read", subject=subjects.person(reader)
        )
        return (
            found[1],
            await companies.offers(tx, company_id, reader),
            jobs,
            await companies.technicians(tx, company_id),
        )


async def _record(
    tx: Connection, person_id: PersonId | FriendId, kind: str, company_id: CompanyId, actor: str
) -> None:
    happened = Happening(subjects.person(person_id), kind, {"company": str(company_id)})
    await journal.record(tx, happened, actor=actor)


async def _refresh(rt: Runtime, company_id: CompanyId) -> None:
    """Update the copies of technicians, who may be reachable since now, or no longer."""
    async with read_connection(rt) as tx:
        found = await companies.technicians(tx, company_id)
    await refresh_and_retry(rt, {one.id for one in found})
