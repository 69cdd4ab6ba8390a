import { ApiProperty } from '@nestjs/swagger';
import { IsOptional, Matches } from 'class-validator';
import { ListField, NAME_LENGTH_MAX, TextField, WordField } from '../../fields.js';

/** Of Glance's dialect of JSON patches. */
export const IMAGE_PATCH_TYPE = 'application/openstack-images-v2.1-json-patch';

const STEPS_MAX = 300;
/** Any text that begins with a slash and has no other. */
const POINTER = /^\/[^/]+$/;

export class ImagePatchStep {
  @WordField({ words: ['add', 'replace', 'remove'] }) op: 'add' | 'replace' | 'remove';

  @TextField({ example: '/hw_pci_numa_affinity_policy', max: NAME_LENGTH_MAX * 2 })
  @Matches(POINTER, { message: 'has to be a slash and the name of one field' })
  path: string;

  /** Looked at with the image that comes of it. */
  @ApiProperty({ required: false, description: 'What the field becomes; not for `remove`.', type: Object })
  @IsOptional()
  value?: unknown;
}

/** A JSON patch is a list; under this name it is an object that is checked as other bodies are. */
export class ImagePatch {
  @ListField({ of: () => ImagePatchStep, min: 0, max: STEPS_MAX }) steps: ImagePatchStep[];
}

export class MemberBody {
  @TextField({ description: 'A project.' }) member: string;
}
