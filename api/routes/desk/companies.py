"""Companies of pros, their dispatchers and technicians, for the desk."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentCommunity, CurrentOperator, Rt, actor
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import companies as schemas
from data.records.ids import CompanyId, FriendId, PersonId
from dispatch.flows.people import companies
from dispatch.flows.people.companies import AddressTaken, JobsOfCompany, NoTechnician
from dispatch.rules.people.names import NameRefused
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/companies", tags=["desk"], route_class=CompiledRoute)


@router.get("", summary="List companies")
async def list_companies(rt: Rt, caller: CurrentOperator) -> schemas.CompaniesResponse:
    """All companies by name."""
    found = await companies.list_all(rt)
    return schemas.CompaniesResponse(items=list(map(schemas.Company.model_validate, found)))


@router.post("", status_code=201, summary="Add a company", responses=problems(NameRefused))
async def add_company(
    rt: Rt, caller: CurrentCommunity, body: schemas.CompanyRequest
) -> schemas.AddedResponse:
    """Add a company without people."""
    return schemas.AddedResponse(id=await companies.add(rt, body.name, actor=actor(caller)))


@router.get("/{company_id}", summary="Get a company", responses=problems(NotFound))
async def show_company(rt: Rt, caller: CurrentCommunity, company_id: UUID) -> schemas.TeamResponse:
    """A company with its dispatchers and technicians."""
    found = await companies.team(rt, CompanyId(company_id))
    return schemas.TeamResponse.model_validate(found)


@router.post(
    "/{company_id}/dispatchers",
    status_code=201,
    summary="Add a dispatcher",
    responses=problems(NotFound, AddressTaken, NameRefused),
)
async def add_dispatcher(
    rt: Rt, caller: CurrentCommunity, company_id: UUID, body: schemas.DispatcherRequest
) -> schemas.AddedResponse:
    """Add a dispatcher, who gets a mail with a link to sign in."""
    made = await companies.add_dispatcher(
        rt,
        CompanyId(company_id),
        name=body.name,
        email=body.email,
        language=body.language,
        actor=actor(caller),
    )
    return schemas.AddedResponse(id=made)


@router.delete(
    "/{company_id}/dispatchers/{person_id}",
    status_code=204,
    summary="Remove a dispatcher",
    responses=problems(NotFound),
)
async def remove_dispatcher(
    rt: Rt, caller: CurrentCommunity, company_id: UUID, person_id: UUID
) -> None:
    """Close a dispatcher's account and end its sessions."""
    await companies.remove_dispatcher(
        rt, CompanyId(company_id), PersonId(person_id), actor=actor(caller)
    )


@router.post(
    "/{company_id}/technicians",
    status_code=204,
    summary="Add a technician",
    responses=problems(NotFound, NoTechnician),
)
async def add_technician(
    rt: Rt, caller: CurrentCommunity, company_id: UUID, body: schemas.FriendOfCompanyRequest
) -> None:
    """Make a pro a technician; the company is asked through its dispatchers from now on."""
    await companies.add_technician(
        rt, CompanyId(company_id), FriendId(body.friend), actor=actor(caller)
    )


@router.delete(
    "/{company_id}/technicians/{friend_id}",
    status_code=204,
    summary="Remove a technician",
    responses=problems(NotFound, JobsOfCompany),
)
async def remove_technician(
    rt: Rt, caller: CurrentCommunity, company_id: UUID, friend_id: UUID
) -> None:
    """Make a technician an ordinary pro again, once they hold no job of the company."""
    await companies.remove_technician(
        rt, CompanyId(company_id), FriendId(friend_id), actor=actor(caller)
    )
