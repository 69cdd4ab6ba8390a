import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../answers.js';
import { announce, ApiIdempotencyKey, IdempotencyKey } from '../idempotency.js';
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
@Controller('v1/reservations')
export class ReservationsController {
  constructor(private readonly reservations: ReservationsService) {}

  @Get()
  @ApiOperation({ operationId: 'listReservations', summary: 'Reservations, oldest first' })
  @ApiOkResponse({ type: ReservationPageView })
  @ApiProblems(400)
  list(@Query() query: ReservationsQuery): Promise<ReservationPageView> {
    return this.reservations.list(query);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getReservation', summary: 'One reservation, with its windows and their devices' })
  @ApiOkResponse({ type: ReservationView })
  @ApiProblems(404)
  show(@Param('id') id: string): Promise<ReservationView> {
    return this.reservations.show(reservationId(id));
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
    @Body() body: ReservationBody,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<ReservationView> {
    const created = await this.reservations.create(body, key);
    announce(reply, created, RESERVATIONS_PATH);
    return this.reservations.show(created.id);
  }

  @Patch(':id')
  @ApiOperation({ operationId: 'changeReservation', summary: 'Change name or end of a reservation' })
  @ApiOkResponse({ type: ReservationView })
  @ApiProblems(400, 404, 409)
  async change(@Param('id') id: string, @Body() body: ReservationChangeBody): Promise<ReservationView> {
    await this.reservations.change(reservationId(id), body);
    return this.reservations.show(reservationId(id));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'cancelReservation',
    summary: 'Cancel a reservation: its devices are free for all; servers that came with it go on',
  })
  @ApiNoContentResponse()
  @ApiProblems(404)
  cancel(@Param('id') id: string): Promise<void> {
    return this.reservations.cancel(reservationId(id));
  }
}
