"""The same booking and accept, written the way one would on a first day with good libraries.

FastAPI, asyncpg's pool, one request one transaction, one statement a row, nearest neighbours by an
index of the database, the winner by UPDATE … WHERE. The tables, indexes and constraints are
tekkie's own, and so are the rows, but for the decision: it names the four asked and nobody else.

    uvicorn benchmarks.straightforward.app:app     (with STRAIGHTFORWARD_DSN and _KNN)
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from math import cos, radians, sin, sqrt
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from data import sql_loader
from data.seed import catalogue

POOL = 10
sql = sql_loader.load("straightforward", folder=Path(__file__).parent)
packages = catalogue.load().packages


class Customer(BaseModel):
    name: str
    email: str
    phone: str
    language: str


class Address(BaseModel):
    street: str
    postcode: str
    city: str
    country: str
    lat: float
    lon: float


class Asked(BaseModel):
    package: str
    customer: Customer
    address: Address
    notes: str | None = None


class Made(BaseModel):
    id: UUID
    state: str
    offers: int


class Taken(BaseModel):
    booking_id: UUID
    state: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async def teach(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )

    async with asyncpg.create_pool(
        os.environ["STRAIGHTFORWARD_DSN"],
        min_size=POOL,
        max_size=POOL,
        init=teach,
        server_settings={"search_path": "tekkie,public"},
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    return {"ok": True}


@app.post("/v1/bookings", status_code=201)
async def book(request: Request, asked: Asked) -> Made:
    async with request.app.state.pool.acquire() as tx, tx.transaction():
        now = await tx.fetchval("SELECT clock_timestamp()")
        booking_id = uuid4()
        near = await _nearest(tx, asked)
        await _write_booking(tx, booking_id, asked, bool(near), now)
        offers = []
        for slot, friend in enumerate(near, start=1):
            offers.append(uuid4())
            away_m, expires_at = int(friend["away_m"]), now + timedelta(hours=1)
            await tx.execute(
                sql.insert_offer,
                *(offers[-1], booking_id, friend["id"], slot, away_m, friend["radius_m"]),
                *(now, expires_at),
            )
        await _write_news(tx, booking_id, near, offers, now)
        await tx.execute(sql.insert_timer, booking_id, "offers_expire", now + timedelta(hours=1))
    return Made(id=booking_id, state="open" if near else "unfilled", offers=len(near))


async def _nearest(tx: Any, asked: Asked) -> list[asyncpg.Record]:
    where = asked.address
    [certificate] = packages[asked.package].certificates
    place = (where.lon, where.lat) if os.environ["STRAIGHTFORWARD_KNN"] == "postgis" else None
    facts = (certificate, where.country, asked.customer.language, _key(asked))
    if place:
        found = await tx.fetch(sql.nearest_postgis, *place, *facts)
    else:
        found = await tx.fetch(sql.nearest_cube, _ecef(where.lat, where.lon), *facts)
    return list(found)


async def _write_booking(tx: Any, booking_id: UUID, asked: Asked, found: bool, now: Any) -> None:
    customer, where, customer_id = asked.customer, asked.address, uuid4()
    await tx.execute(
        sql.insert_person,
        *(customer_id, customer.name, customer.email, customer.phone, customer.language),
        *(where.street, where.postcode, where.city, where.country, where.lat, where.lon),
        asked.notes,
    )
    price = next(p for m, p in packages[asked.package].prices.items() if m == where.country)
    await tx.execute(
        sql.insert_booking,
        *(booking_id, "open" if found else "unfilled", asked.package, where.country),
        *(customer.language, customer_id, _key(asked), price.amount, price.amount * 4 // 5),
        *(price.currency, round(where.lat, 2), round(where.lon, 2), f"{where.postcode}"),
        now,
    )


async def _write_news(
    tx: Any, booking_id: UUID, near: list[asyncpg.Record], offers: list[UUID], now: Any
) -> None:
    customer_id = await tx.fetchval(sql.customer_of, booking_id)
    said = {"round": 1, "offers": [{"id": str(o)} for o in offers]}
    await tx.execute(sql.insert_event, booking_id, 1, "booking.created", now, "customer", {})
    await tx.execute(sql.insert_event, booking_id, 2, "booking.offered", now, "customer", said)
    ids, away = [f["id"] for f in near], [int(f["away_m"]) for f in near]
    await tx.execute(sql.insert_decision, booking_id, 2, now, ids, away)
    await _message(tx, booking_id, 1, "mail", "customer", customer_id, "booked", now)
    for friend in near:
        await _message(tx, booking_id, 2, "push", "friend", friend["id"], "offer", now)


@app.post("/v1/offers/{offer_id}/accept")
async def accept(
    request: Request, offer_id: UUID, authorization: Annotated[str, Header()]
) -> Taken:
    async with request.app.state.pool.acquire() as tx, tx.transaction():
        token = sha256(authorization.removeprefix("Bearer ").encode()).digest()
        friend_id = await tx.fetchval(sql.who, token)
        if friend_id is None:
            raise HTTPException(401)
        booking_id = await tx.fetchval(sql.booking_of_offer, offer_id, friend_id)
        if booking_id is None:
            raise HTTPException(404)
        award_id = uuid4()
        booking = await tx.fetchrow(sql.take, booking_id, award_id)
        if booking is None or not await tx.fetchval(sql.accept_offer, offer_id):
            raise HTTPException(409, "offer-gone")
        await _write_award(tx, award_id, offer_id, friend_id, booking)
    return Taken(booking_id=booking_id, state="awarded")


async def _write_award(
    tx: Any, award_id: UUID, offer_id: UUID, friend_id: UUID, booking: asyncpg.Record
) -> None:
    booking_id, now = booking["id"], booking["now"]
    due_at = now + timedelta(hours=12)
    lost = await tx.fetch(sql.lose_the_others, booking_id)
    await tx.execute(sql.insert_award, award_id, booking_id, friend_id, offer_id, now, due_at)
    await tx.execute(sql.count_job, friend_id)
    await tx.execute(sql.stop_timers, booking_id)
    await tx.execute(sql.insert_timer, booking_id, "contact_deadline", due_at)
    await tx.execute(sql.insert_timer, booking_id, "contact_reminder", due_at - timedelta(hours=4))
    said = {"friend": str(friend_id), "lost": [str(row["friend_id"]) for row in lost]}
    await tx.execute(
        sql.insert_event, booking_id, 3, "booking.awarded", now, f"friend:{friend_id}", said
    )
    await _message(tx, booking_id, 3, "mail", "friend", friend_id, "awarded", now)
    customer_id = booking["customer_id"]
    await _message(tx, booking_id, 3, "mail", "customer", customer_id, "friend_found", now)
    for row in lost:
        await _message(tx, booking_id, 3, "push", "friend", row["friend_id"], "offer_gone", now)


async def _message(tx: Any, *row: Any) -> None:
    """One row: booking, seq, channel, audience, recipient, template, moment."""
    *rest, now = row
    await tx.execute(sql.insert_message, uuid4(), *rest, {}, now)


def _key(asked: Asked) -> str:
    return sha256(asked.customer.email.encode()).hexdigest()


def _ecef(lat: float, lon: float) -> list[float]:
    """Earth-centred metres on WGS84."""
    north, east = radians(lat), radians(lon)
    flat = (2 - 1 / 298.257223563) / 298.257223563
    normal_m = 6_378_137.0 / sqrt(1 - flat * sin(north) ** 2)
    ring_m = normal_m * cos(north)
    return [ring_m * cos(east), ring_m * sin(east), normal_m * (1 - flat) * sin(north)]
