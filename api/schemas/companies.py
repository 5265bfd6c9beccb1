"""The JSON of companies of pros: their board, and their administration by the desk."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import Email, PersonName
from api.schemas.responses import Job, Offer
from data.enums import FriendState
from data.markets import Language

TECHNICIAN = "0197f0a0-0000-7000-8000-000000000001"


class TechnicianRequest(RequestModel):
    """The technician who is to do the job."""

    model_config = example({"technician": TECHNICIAN})

    technician: UUID


class CompanyRequest(RequestModel):
    """A new company."""

    model_config = example({"name": "Alpine IT AG"})

    name: PersonName


class DispatcherRequest(RequestModel):
    """A new dispatcher, who gets a mail with a link to sign in."""

    model_config = example({"name": "Dora Muster", "email": "dora@example.com", "language": "de"})

    name: PersonName
    email: Email
    language: Language


class FriendOfCompanyRequest(RequestModel):
    """The pro who is to be a technician of the company."""

    model_config = example({"friend": TECHNICIAN})

    friend: UUID


class Technician(ResponseModel):
    """A technician with what they hold and may hold."""

    id: UUID
    ref: str
    name: str
    state: FriendState
    open_jobs: int
    capacity: int
    languages: list[Language]
    certificates: list[str]


class CompanyJob(Job):
    """A job of the company, as its technician sees it, and who that is."""

    technician_id: UUID
    technician: str


class BoardResponse(ResponseModel):
    """All that dispatchers see of their company: offers, newest jobs and technicians."""

    company: str
    offers: list[Offer]
    jobs: list[CompanyJob]
    technicians: list[Technician]


class AssignedResponse(ResponseModel):
    """The job and the technician who holds it now."""

    booking_id: UUID
    technician_id: UUID
    contact_due_at: datetime


class AnsweredResponse(ResponseModel):
    """The booking of an offer that was declined, or of a job that was handed back."""

    booking_id: UUID


class Company(ResponseModel):
    """A company and how many people and open jobs it has."""

    id: UUID
    name: str
    created_at: datetime
    dispatchers: int
    technicians: int
    open_jobs: int


class CompaniesResponse(ResponseModel):
    """All companies by name."""

    items: list[Company]


class Dispatcher(ResponseModel):
    """A dispatcher of a company."""

    id: UUID
    name: str
    email: str
    language: Language
    created_at: datetime


class TeamResponse(ResponseModel):
    """A company with its dispatchers and technicians."""

    company: Company
    dispatchers: list[Dispatcher]
    technicians: list[Technician]


class AddedResponse(ResponseModel):
    """The id of what was added."""

    id: UUID
