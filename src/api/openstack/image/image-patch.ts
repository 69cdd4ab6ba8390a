import { BerthError } from '../../../errors.js';
import { assertWritable, type FlatImage, isBaseField } from './image-fields.js';
import type { ImagePatchStep } from './images.dto.js';

/**
 * An image after the steps of a JSON patch of Glance's dialect (2.1): pointers name a field, and nothing within one.
 *
 * @throws BerthError `image.read_only`, also for a field that every image has to have; `image.no_property` for a property that is
 *   not there
 */
export function patchImage(image: FlatImage, steps: readonly ImagePatchStep[]): FlatImage {
  const fields = new Map(Object.entries(image));
  for (const { op, path, value } of steps) {
    const field = path.slice(1).replaceAll('~1', '/').replaceAll('~0', '~');
    assertWritable(field);
    if (field === 'id') throw new BerthError('image.read_only', "Attribute 'id' is read-only.");
    if (op !== 'add' && !fields.has(field)) {
      throw new BerthError('image.no_property', `Property ${field} does not exist.`);
    }
    if (op !== 'remove') fields.set(field, value ?? null);
    else if (!isBaseField(field)) fields.delete(field);
    else throw new BerthError('image.read_only', `Property ${field} may not be removed.`);
  }
  return Object.fromEntries(fields);
}
