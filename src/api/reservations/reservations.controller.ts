import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { type Caller, CurrentCaller } from '../identity/caller.js';
import { Needs } from '../identity/roles.guard.js';
import { announce, ApiIdempotencyKey, type GivenKey, IdempotencyKey } from '../idempotency.js';
import { idInPath } from '../path-names.js';
import type { Reply } from '../reply.js';
import {
  ReservationBody,
  ReservationChangeBody,
  ReservationPageView,
  ReservationsQuery,
  ReservationView,
} from './reservations.dto.js';
import { RESERVATIONS_PATH, ReservationsService } from './reservations.service.js';

const reservationId = (text: string): string => idInPath(text, 'reservation.unknown', 'reservation');

@ApiTags('reservations')
@Needs('member')
@Controller('v1/reservations')
export class ReservationsController {
  constructor(private readonly reservations: ReservationsService) {}

  @Get()
  @Needs('reader')
  @ApiOperation({ operationId: 'listReservations', summary: 'Reservations, oldest first' })
  @ApiOkResponse({ type: ReservationPageView })
  @ApiProblems(400)
  list(@CurrentCaller() caller: Caller, @Query() query: ReservationsQuery): Promise<ReservationPageView> {
    return this.reservations.list(caller, query);
  }

  @Get(':id')
  @Needs('reader')
  @ApiOperation({ operationId: 'getReservation', summary: 'One reservation, with its windows and their devices' })
  @ApiOkResponse({ type: ReservationView })
  @ApiProblems(404)
  show(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ReservationView> {
    return this.reservations.show(caller, reservationId(id));
  }

  @Post()
  @ApiOperation({
    operationId: 'createReservation',
    summary: 'Keep devices for a time',
    description:
      'Devices are chosen as for a server, for all windows or none; the same in all of them where that can be. A server gets ' +
      'them by naming the reservation.',
  })
  @ApiIdempotencyKey()
  @ApiCreatedResponse({ type: ReservationView })
  @ApiProblems(400, 409, 422)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: ReservationBody,
    @IdempotencyKey() key: GivenKey | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<ReservationView> {
    const created = await this.reservations.create(caller, body, key);
    announce(reply, created, RESERVATIONS_PATH);
    return this.reservations.show(caller, created.id);
  }

  @Patch(':id')
  @ApiOperation({ operationId: 'changeReservation', summary: 'Change name or end of a reservation' })
  @ApiOkResponse({ type: ReservationView })
  @ApiProblems(400, 404, 409)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: ReservationChangeBody,
  ): Promise<ReservationView> {
    await this.reservations.change(caller, reservationId(id), body);
    return this.reservations.show(caller, reservationId(id));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'cancelReservation',
    summary: 'Cancel a reservation: its devices are free for all; servers that came with it go on',
  })
  @ApiNoContentResponse()
  @ApiProblems(404)
  cancel(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    return this.reservations.cancel(caller, reservationId(id));
  }
}
