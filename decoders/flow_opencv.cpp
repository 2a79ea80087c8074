/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/flow_engine.h"

#include <cerrno>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/ocl.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/optflow.hpp>
#include <opencv2/video/tracking.hpp>

static cv::Mat grey_of(const struct dec_flow_picture &picture, bool rgb, int width, int height)
{
    cv::Mat grey, whole(height, width, rgb ? CV_8UC3 : CV_8UC1, const_cast<uint8_t *>(picture.data),
                        static_cast<size_t>(picture.stride));
    if (rgb)
        cv::cvtColor(whole, grey, cv::COLOR_RGB2GRAY);
    else
        whole.copyTo(grey); /* DISOpticalFlow takes no rows with gaps between them */
    return grey;
}

static void find(bool dis, bool rgb, int width, int height, const struct dec_flow_picture pictures[2],
                 float *out)
{
    const cv::Mat first = grey_of(pictures[0], rgb, width, height),
                  second = grey_of(pictures[1], rgb, width, height);
    cv::Mat flow;
    if (dis)
        cv::DISOpticalFlow::create(cv::DISOpticalFlow::PRESET_MEDIUM)->calc(first, second, flow);
    else
        cv::optflow::DualTVL1OpticalFlow::create()->calc(first, second, flow);
    CV_Assert(flow.rows == height && flow.cols == width && flow.type() == CV_32FC2);
    cv::Mat planes[2] = {cv::Mat(height, width, CV_32F, out),
                         cv::Mat(height, width, CV_32F, out + static_cast<size_t>(width) * height)};
    cv::split(flow, planes);
}

int dec_flow_opencv(int dis, int rgb, int width, int height, const struct dec_flow_picture pictures[2],
                    float *out)
{
    try {
        find(dis != 0, rgb != 0, width, height, pictures, out);
        return 0;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    } catch (const cv::Exception &e) {
        return e.code == cv::Error::StsNoMem ? -ENOMEM : -EINVAL;
    } catch (...) {
        return -EINVAL;
    }
}

static int quiet(int, const char *, const char *, const char *, int, void *)
{
    return 0;
}

void dec_flow_opencv_start(void)
{
    cv::redirectError(quiet);
    cv::ocl::setUseOpenCL(false);
    /* DISOpticalFlow's results hang on how many there are. */
    cv::setNumThreads(1);
    /* What is looked up once, at the first use: processors, instruction sets. */
    uint8_t black[3 * 48 * 48] = {};
    float flow[2 * 48 * 48];
    const struct dec_flow_picture pictures[2] = {{black, 3 * 48}, {black, 3 * 48}};
    (void)dec_flow_opencv(1, 1, 48, 48, pictures, flow);
    (void)dec_flow_opencv(0, 1, 48, 48, pictures, flow);
}
