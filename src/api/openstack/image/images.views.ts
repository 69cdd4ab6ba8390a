import type { ImageEntity } from '../../../store/entities/image.entities.js';
import { flatImage } from './image-fields.js';

/** An image as Glance shows it. It is active from the beginning: there are no data that one would have to wait for. */
export function imageView(image: ImageEntity): object {
  const path = `/v2/images/${image.id}`;
  return {
    ...flatImage(image),
    status: 'active',
    ...{ size: 0, virtual_size: null, checksum: null, os_hash_algo: null, os_hash_value: null, os_hidden: false },
    ...{ created_at: imageTime(image.created_at), updated_at: imageTime(image.updated_at) },
    ...{ self: path, file: `${path}/file`, schema: '/v2/schemas/image' },
  };
}

export function memberView(image: ImageEntity, project: string): object {
  return {
    ...{ member_id: project, image_id: image.id, status: 'accepted', schema: '/v2/schemas/member' },
    ...{ created_at: imageTime(image.created_at), updated_at: imageTime(image.updated_at) },
  };
}

/** To the second, as Glance and Nova write it. */
export function imageTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
