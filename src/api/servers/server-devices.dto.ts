import { ApiProperty, PickType } from '@nestjs/swagger';
import { FlagParameter } from '../fields.js';
import { ServerWishesBody } from './servers.dto.js';

/** Devices for a server that runs: as a flavor has them, or a list. */
export class AttachBody extends PickType(ServerWishesBody, ['devices'] as const) {}

export class DetachQuery {
  @FlagParameter({ optional: true, description: 'Also when something goes along that was asked for.' })
  force?: boolean;
}

export class DetachedDeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly device_id: string;
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: Boolean, description: 'It was not asked for, and had come along.' })
  readonly companion: boolean;
}

export class DetachView {
  @ApiProperty({
    type: [DetachedDeviceView],
    description: 'What is being given back: the device, and whatever shares its IOMMU group.',
  })
  readonly detaching: readonly DetachedDeviceView[];
}
